"""The OpenAPI document says what the service does, of every endpoint, parameter and error."""

from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI

from audit.event import StoredEvent
from search_api.app import add_routes
from search_api.parameters import FILTERS, LISTING
from tests.search_api.trail import Trail, token


@pytest.fixture
def document(embedded: Trail) -> dict[str, Any]:
    return embedded.app().openapi()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {operation["operationId"]: operation for item in document["paths"].values() for operation in item.values()}


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]):
    expected = {"list_audit_logs", "list_audit_log_filters", "get_audit_log"}

    assert set(operations(document)) == expected


def test_every_parameter_has_a_description_and_an_example(document: dict[str, Any]):
    for operation in operations(document).values():
        for parameter in operation.get("parameters", []):
            assert parameter["description"], parameter
            assert "example" in parameter or parameter["schema"]["examples"], parameter


def test_the_parameters_are_those_that_are_read(document: dict[str, Any]):
    for name, table in (("list_audit_logs", LISTING), ("list_audit_log_filters", FILTERS), ("get_audit_log", ())):
        listed = [item["name"] for item in operations(document)[name]["parameters"] if item["in"] == "query"]
        assert listed == [parameter.name for parameter in table]


def test_the_examples_are_accepted(embedded: Trail):
    for parameter in LISTING:
        if parameter.name != "cursor":
            response = embedded.client().get(embedded.path, params={parameter.name: parameter.example})  # type: ignore[dict-item]
            assert response.status_code == 200, response.text


def test_guarded_endpoints_want_the_bearer_token_and_name_every_error(document: dict[str, Any]):
    for name in ("list_audit_logs", "list_audit_log_filters", "get_audit_log"):
        operation = operations(document)[name]
        errors = {"401", "403", "404", "422", "500", "503"} | ({"400"} if name == "list_audit_logs" else set())
        assert operation["security"] == [{"bearer": []}]
        assert set(operation["responses"]) == errors | {"200"}
        for status in errors:
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"]
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


def test_every_reference_is_resolved(document: dict[str, Any]):
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert references(document) <= names


def test_answers_are_as_described(embedded: Trail, document: dict[str, Any]):
    event, _ = embedded.add({"details": {"a": [1, {"b": None}]}, "context": {"ip": "203.0.113.7"}}, {})
    client = embedded.client()
    answers = [
        ("AuditLogPage", client.get(embedded.path, params={"limit": 1})),
        ("Filters", client.get(f"{embedded.path}/filters")),
        ("StoredEvent", client.get(f"{embedded.path}/{event['id']}")),
        ("Problem", client.get(f"{embedded.path}?nonsense=1")),
        ("Problem", client.get(f"{embedded.path}?limit=0")),
        ("Problem", client.get(f"{embedded.path}?cursor=x")),
        ("Problem", embedded.client(None).get(embedded.path)),
        ("Problem", client.get("/nope")),
    ]
    for name, answer in answers:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())
    StoredEvent.model_validate_json(client.get(f"{embedded.path}/{event['id']}").content)


def test_it_lives_in_an_application_that_has_other_routes(embedded: Trail):
    app = FastAPI()
    app.get("/other")(lambda: {"other": True})
    add_routes(app, embedded.app().state.search_api)

    client = embedded.client(token(embedded.organization_id), app=app)

    assert client.get("/other").json() == {"other": True}
    assert client.get(embedded.path).status_code == 200
    assert {"/other", "/v1/organizations/{organization_id}/audit-logs"} <= set(app.openapi()["paths"])
