"""The mapping on a real node: every field of the event found by its name and by its ECS name, and nothing unknown taken."""

import json
from typing import Any
from uuid import uuid4

import pytest
from opensearchpy import OpenSearch

from index_templates.documents import wanted
from store.names import WRITE_PREFIX

ID = "019aaaaa-0000-7000-8000-000000000001"

FULL: dict[str, Any] = {
    "id": ID,
    "occurred_at": "1999-12-31T10:00:00.123Z",
    "received_at": "1999-12-31T10:00:01.000Z",
    "organization_id": "acme",
    "actor": {
        "type": "user",
        "id": "u1",
        "name": "Ada Lovelace",
        "email": "ada@acme.example",
        "on_behalf_of": {"type": "user", "id": "u2", "name": "Grace", "email": "grace@acme.example"},
    },
    "action": "api_key.update_limit",
    "resource": {"type": "api_key", "id": "k1", "name": "Production"},
    "outcome": "denied",
    "details": {"changes": {"limit": {"old": 100, "new": 250}}, "a.b": "dotted", "none": None},
    "context": {
        "ip": "203.0.113.9",
        "user_agent": "curl/8",
        "request_id": "r1",
        "trace_id": "t1",
        "session_id": "s1",
    },
    "source": "gateway",
    "log": {"id": "node-1", "index": 41},
    "catalog": "unknown",
}


@pytest.fixture(scope="module")
def stored(raw_client: OpenSearch, day: str) -> str:
    answer = _write(raw_client, day, FULL)
    assert answer["status"] == 201, answer
    raw_client.indices.refresh(index=day)
    return day


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ID),
        ("organization_id", "acme"),
        ("actor.type", "user"),
        ("actor.id", "u1"),
        ("actor.name", "Ada Lovelace"),
        ("actor.email", "ada@acme.example"),
        ("actor.on_behalf_of.type", "user"),
        ("actor.on_behalf_of.id", "u2"),
        ("actor.on_behalf_of.name", "Grace"),
        ("actor.on_behalf_of.email", "grace@acme.example"),
        ("action", "api_key.update_limit"),
        ("resource.type", "api_key"),
        ("resource.id", "k1"),
        ("resource.name", "Production"),
        ("outcome", "denied"),
        ("details.changes.limit.new", "250"),
        ("details.a.b", "dotted"),
        ("context.ip", "203.0.113.0/24"),
        ("context.user_agent", "curl/8"),
        ("context.request_id", "r1"),
        ("context.trace_id", "t1"),
        ("context.session_id", "s1"),
        ("source", "gateway"),
        ("log.id", "node-1"),
        ("log.index", 41),
        ("catalog", "unknown"),
        ("occurred_at", "1999-12-31T10:00:00.123Z"),
        ("received_at", "1999-12-31T10:00:01Z"),
    ],
)
def test_every_field_of_an_event_is_found(raw_client: OpenSearch, stored: str, field: str, value: Any) -> None:
    assert _count(raw_client, stored, {"term": {field: value}}) == 1


ECS = [
    ("event.id", ID),
    ("event.action", "api_key.update_limit"),
    ("event.ingested", "1999-12-31T10:00:01Z"),
    ("event.sequence", 41),
    ("organization.id", "acme"),
    ("user.id", "u1"),
    ("user.name", "Ada Lovelace"),
    ("user.email", "ada@acme.example"),
    ("user.effective.id", "u2"),
    ("user.effective.name", "Grace"),
    ("user.effective.email", "grace@acme.example"),
    ("client.ip", "203.0.113.9"),
    ("user_agent.original", "curl/8"),
    ("http.request.id", "r1"),
    ("trace.id", "t1"),
    ("service.name", "gateway"),
    ("@timestamp", "1999-12-31T10:00:00.123Z"),
]


@pytest.mark.parametrize(("field", "value"), ECS)
def test_every_ecs_name_finds_it_too(raw_client: OpenSearch, stored: str, field: str, value: Any) -> None:
    assert _count(raw_client, stored, {"term": {field: value}}) == 1


def test_the_ecs_names_tested_are_all_there_are() -> None:
    mappings = next(template for template in wanted() if template.name.endswith("mappings")).body["template"][
        "mappings"
    ]
    assert {name for name, _ in ECS} == set(_aliases(mappings["properties"]))


def test_sorting_and_aggregating_go_through_aliases(raw_client: OpenSearch, stored: str) -> None:
    answer = raw_client.search(
        index=stored,
        body={
            "query": {"term": {"event.id": ID}},
            "sort": [{"@timestamp": "desc"}, {"event.id": "desc"}],
            "aggs": {
                "days": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day"}},
                "who": {"terms": {"field": "user.email"}},
            },
        },
    )
    assert answer["hits"]["hits"][0]["sort"] == [946634400123, ID]
    assert answer["aggregations"]["who"]["buckets"] == [{"key": "ada@acme.example", "doc_count": 1}]
    assert answer["aggregations"]["days"]["buckets"][0]["doc_count"] == 1


@pytest.mark.parametrize(
    "stranger",
    [{"foo": 1}, {"actor": {"type": "user", "age": 1}}, {"@timestamp": "1999-12-31T10:00:00Z"}, {"user": {"id": "u"}}],
    ids=["a field", "a field inside", "an alias", "an alias inside"],
)
def test_what_the_mapping_does_not_name_is_refused(raw_client: OpenSearch, day: str, stranger: dict[str, Any]) -> None:
    assert _write(raw_client, day, _another() | stranger)["status"] == 400


def test_an_event_is_given_back_byte_for_byte(raw_client: OpenSearch, day: str, opensearch_url: str) -> None:
    id = _another()["id"]
    body = b'{"id":"%b", "details":{"f":1.10,"e":1E3,"u":"\\u00e9","z":1,"a":2}}' % id.encode()
    raw_client.bulk(body=b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n' % (day.encode(), id.encode(), body))
    raw_client.indices.refresh(index=day)
    # As raw text: opensearch-py would read the JSON and lose what is looked at here.
    transport = raw_client.transport.get_connection()
    for path in (f"/{day}/_source/{id}", f"/{day}/_doc/{id}", f"/{day}/_search?size=100"):
        _, _, text = transport.perform_request("GET", path)
        assert body.decode() in text


def test_a_write_to_a_day_that_is_not_there_makes_nothing(raw_client: OpenSearch, day: str) -> None:
    missing = day.replace("12.31", "12.30")
    answer = _write(raw_client, WRITE_PREFIX + missing, _another(), require_alias="true")
    assert (answer["status"], answer["error"]["type"]) == (404, "index_not_found_exception")
    assert not raw_client.indices.exists(index=missing)


def test_a_write_through_the_alias_reaches_the_day_once(raw_client: OpenSearch, day: str) -> None:
    event = _another()
    answer = _write(raw_client, WRITE_PREFIX + day, event, require_alias="true")
    assert (answer["status"], answer["_index"]) == (201, day)
    raw_client.indices.refresh(index=day)
    assert _count(raw_client, day[:-5] + "*", {"term": {"id": event["id"]}}) == 1


def test_a_day_takes_the_creation_date_it_is_given(raw_client: OpenSearch, day: str) -> None:
    for name, created in (("audit-1d-1999.03.01", 920332800000), ("audit-1d-1999.03.02", 4102444800000)):
        raw_client.indices.create(index=name, body={"settings": {"index.creation_date": created}})
        settings = raw_client.indices.get_settings(index=name)[name]["settings"]["index"]
        assert settings["creation_date"] == str(created)


def test_a_day_tells_the_version_it_was_made_with(raw_client: OpenSearch, day: str) -> None:
    mapping = raw_client.indices.get_mapping(index=day)[day]["mappings"]
    assert mapping["_meta"] == {"trailkeeper": {"version": wanted()[0].body["version"]}}


@pytest.mark.parametrize(
    "details",
    [
        {},
        None,
        {"a": None},
        {"a": {"b": None}},
        {"": "x"},
        {"a": {}},
        {"a": []},
        {"a": [{"b": 1}, {"b": 2}]},
        {"a": [[1, "x"], [{"b": None}]]},
        {"a.b": 1, "a": {"b": 2}},
        {".": 1, "a..b": 2},
        {"n": 10**400},
        {"n": 1e300, "t": True},
        {"a": "x" * (32_758 - len("details.a="))},
    ],
    ids=lambda details: json.dumps(details)[:40],
)
def test_details_take_what_ingest_takes(raw_client: OpenSearch, day: str, details: Any) -> None:
    assert _write(raw_client, day, _another() | {"details": details})["status"] == 201


@pytest.mark.parametrize(
    "details",
    ["x", 5, ["x"], {"a": "x" * (32_759 - len("details.a="))}, {"k" * 33_000: 1}],
    ids=lambda details: json.dumps(details)[:40],
)
def test_details_refuse_what_readme_says(raw_client: OpenSearch, day: str, details: Any) -> None:
    assert _write(raw_client, day, _another() | {"details": details})["status"] == 400


def _another() -> dict[str, Any]:
    """The same event with an id of its own, and nothing else that the searches above would find."""
    return {"id": str(uuid4()), "occurred_at": "1999-12-31T11:00:00Z"}


def _write(client: OpenSearch, index: str, event: dict[str, Any], **params: str) -> dict[str, Any]:
    body = json.dumps({"create": {"_index": index, "_id": event["id"]}}) + "\n" + json.dumps(event) + "\n"
    (item,) = client.bulk(body=body.encode(), params=params)["items"]
    created: dict[str, Any] = item["create"]
    return created


def _count(client: OpenSearch, index: str, query: dict[str, Any]) -> int:
    return int(client.count(index=index, body={"query": query})["count"])


def _aliases(properties: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, field in properties.items():
        if field.get("type") == "alias":
            found.append(prefix + name)
        found += _aliases(field.get("properties", {}), f"{prefix}{name}.")
    return found
