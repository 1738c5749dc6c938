"""The sample gateway: each of the 22 actions is on the trail, with who did it, to what, and what changed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from audit.catalog import load_catalog
from audit.event import Event
from examples.gateway.access import PERMISSIONS, RANKS
from examples.gateway.app import ORGANIZATION
from examples.gateway.people import PEOPLE, Office
from trailkeeper import Action

Json = dict[str, Any]
ADA = {"type": "user", "id": "usr_ada", "name": "Ada Okafor", "email": "ada@northwind.example"}

# By action: the request, what it is done to ("new": what the answer says was made), and changes that must be on the trail.
# Names in braces stand for what `things` has prepared.
CASES: dict[str, tuple[str, str, Json | None, str, Json]] = {
    "organization.update": (
        "PATCH", "", {"name": "Northwind AG"}, ORGANIZATION,
        {"name": {"old": "Northwind Robotics", "new": "Northwind AG"}},
    ),
    "organization.delete": ("DELETE", "", None, ORGANIZATION, {"status": {"old": "active", "new": "deleted"}}),
    "project.create": (
        "POST", "/projects", {"name": "Copilot"}, "new", {"name": {"old": None, "new": "Copilot"}},
    ),
    "project.update": (
        "PATCH", "/projects/{project}", {"caching": True}, "{project}", {"caching": {"old": False, "new": True}},
    ),
    "project.delete": (
        "DELETE", "/projects/{project}", None, "{project}", {"name": {"old": "Empty", "new": None}},
    ),
    "team_member.add": (
        "POST", "/members", {"id": "usr_dana", "name": "Dana Ivers", "email": "dana@northwind.example"}, "usr_dana",
        {"role": {"old": None, "new": "developer"}, "email": {"old": None, "new": "dana@northwind.example"}},
    ),
    "team_member.update": (
        "PATCH", "/members/usr_chidi", {"role": "admin"}, "usr_chidi", {"role": {"old": "developer", "new": "admin"}},
    ),
    "team_member.remove": (
        "DELETE", "/members/usr_bruno", None, "usr_bruno",
        {"role": {"old": "admin", "new": None}, "name": {"old": "Bruno Keller", "new": None}},
    ),
    "api_key.create": (
        "POST", "/api-keys", {"name": "production", "project_id": "prj_web", "limit": 100}, "new",
        {"limit": {"old": None, "new": 100}, "token": {"old": None, "new": "***"}},
    ),
    "api_key.update_status": (
        "PATCH", "/api-keys/{key}/status", {"status": "inactive"}, "{key}",
        {"status": {"old": "active", "new": "inactive"}},
    ),
    "api_key.update_limit": (
        "PATCH", "/api-keys/{key}/limit", {"limit": 250}, "{key}", {"limit": {"old": 10, "new": 250}},
    ),
    "api_key.delete": (
        "DELETE", "/api-keys/{key}", None, "{key}", {"name": {"old": "staging", "new": None}},
    ),
    "api_key.iam_rule.create": (
        "POST", "/api-keys/{key}/iam-rules", {"type": "deny_models", "values": ["gpt-5"]}, "new",
        {"type": {"old": None, "new": "deny_models"}, "values": {"old": None, "new": ["gpt-5"]}},
    ),
    "api_key.iam_rule.update": (
        "PATCH", "/api-keys/{key}/iam-rules/{rule}", {"values": ["b"]}, "{rule}",
        {"values": {"old": ["a"], "new": ["b"]}},
    ),
    "api_key.iam_rule.delete": (
        "DELETE", "/api-keys/{key}/iam-rules/{rule}", None, "{rule}", {"values": {"old": ["a"], "new": None}},
    ),
    "provider_key.create": (
        "POST", "/provider-keys", {"name": "Mistral", "provider": "mistral", "token": "sk-2"}, "new",
        {"provider": {"old": None, "new": "mistral"}, "token": {"old": None, "new": "***"}},
    ),
    "provider_key.update": (
        "PATCH", "/provider-keys/{provider_key}", {"token": "sk-3"}, "{provider_key}",
        {"token": {"old": "***", "new": "***"}},
    ),
    "provider_key.delete": (
        "DELETE", "/provider-keys/{provider_key}", None, "{provider_key}", {"name": {"old": "OpenAI", "new": None}},
    ),
    "subscription.create": (
        "POST", "/billing/subscription", {"plan": "enterprise", "seats": 3}, "new",
        {"plan": {"old": None, "new": "enterprise"}, "seats": {"old": None, "new": 3}},
    ),
    "subscription.cancel": (
        "POST", "/billing/subscription/cancel", None, "{subscription}",
        {"status": {"old": "active", "new": "cancelled"}},
    ),
    "subscription.resume": (
        "POST", "/billing/subscription/resume", None, "{subscription}",
        {"status": {"old": "cancelled", "new": "active"}},
    ),
    "payment.credit_topup": (
        "POST", "/billing/credits", {"amount": 50}, "new", {"credits": {"old": 200, "new": 250}},
    ),
}  # fmt: skip


@pytest.fixture
def things(office: Office, request: pytest.FixtureRequest, events: list[Json]) -> dict[str, str]:
    """What the cases are done to, made over HTTP by Ada; the events of making it are forgotten."""
    ada = office.person("ada")
    made = {
        "project": ada.does("project.create", "POST", "/projects", {"name": "Empty"})["id"],
        "key": ada.does(
            "api_key.create", "POST", "/api-keys", {"name": "staging", "project_id": "prj_web", "limit": 10}
        )["id"],
        "provider_key": ada.does(
            "provider_key.create", "POST", "/provider-keys", {"name": "OpenAI", "provider": "openai", "token": "sk-1"}
        )["id"],
    }
    rule = {"type": "allow_models", "values": ["a"]}
    made["rule"] = ada.does("api_key.iam_rule.create", "POST", f"/api-keys/{made['key']}/iam-rules", rule)["id"]
    action = request.node.callspec.params.get("action", "")
    if action in ("subscription.cancel", "subscription.resume"):
        subscription = ada.does("subscription.create", "POST", "/billing/subscription", {"plan": "pro"})
        made["subscription"] = subscription["id"]
    if action == "subscription.resume":
        ada.does("subscription.cancel", "POST", "/billing/subscription/cancel")
    events.clear()
    return made


def test_the_cases_are_the_catalog() -> None:
    catalog = {action.name for action in load_catalog() if not action.of_the_trail}

    assert catalog == set(CASES) == set(Action) == set(PERMISSIONS)
    assert len(catalog) == 22


@pytest.mark.parametrize("action", CASES)
def test_an_action_is_on_the_trail_with_actor_resource_and_changes(
    action: str,
    things: dict[str, str],
    office: Office,
    events: list[Json],
    taken: Callable[[Json], Event],
) -> None:
    method, path, body, resource, changes = CASES[action]

    answer = office.person("ada").does(action, method, path.format(**things), body)

    (event,) = events
    assert event["action"] == action
    assert event["organization_id"] == ORGANIZATION
    assert event["actor"] == ADA
    assert event.get("outcome", "success") == "success"
    expected = answer.get("payment_id") or answer["id"] if resource == "new" else resource.format(**things)
    assert event["resource"]["id"] == expected
    assert event["resource"]["name"]
    found = event["details"]["changes"]
    assert {field: found.get(field) for field in changes} == changes
    assert taken(event).actor.email == ADA["email"]


@pytest.mark.parametrize("action", [action for action in CASES if PERMISSIONS[Action(action)] != "developer"])
def test_who_may_not_is_refused_and_on_the_trail(
    action: str, things: dict[str, str], office: Office, events: list[Json], taken: Callable[[Json], Event]
) -> None:
    method, path, body, _, _ = CASES[action]

    office.person("chidi").does(action, method, path.format(**things), body, expect=403)

    (event,) = events
    assert (event["action"], event["outcome"]) == (action, "denied")
    assert event["actor"]["email"] == "chidi@northwind.example"
    assert event["details"] == {"role": "developer", "needed_role": PERMISSIONS[Action(action)]}
    assert RANKS[event["details"]["needed_role"]] > RANKS["developer"]
    taken(event)


@pytest.mark.parametrize(
    ("action", "method", "path", "body", "status", "reason"),
    [
        ("payment.credit_topup", "POST", "/billing/credits", {"amount": 50, "card": "card_declined"}, 402, "declined"),
        ("subscription.cancel", "POST", "/billing/subscription/cancel", None, 409, "cancelled"),
        ("team_member.remove", "DELETE", "/members/usr_ada", None, 409, "last owner"),
        ("team_member.update", "PATCH", "/members/usr_ada", {"role": "admin"}, 409, "last owner"),
        ("project.create", "POST", "/projects", {"name": "Web assistant"}, 409, "this name"),
        ("project.delete", "DELETE", "/projects/prj_web", None, 409, "API keys"),
        ("api_key.update_limit", "PATCH", "/api-keys/{key}/limit", {"limit": 50_000}, 409, "10000"),
        ("provider_key.update", "PATCH", "/provider-keys/{provider_key}", {"token": "wrong"}, 409, "openai"),
        (
            "provider_key.create",
            "POST",
            "/provider-keys",
            {"name": "X", "provider": "openai", "token": "wrong"},
            409,
            "know",
        ),
    ],
)
def test_what_does_not_work_is_on_the_trail_as_a_failure(
    action: str,
    method: str,
    path: str,
    body: Json | None,
    status: int,
    reason: str,
    things: dict[str, str],
    office: Office,
    events: list[Json],
    taken: Callable[[Json], Event],
) -> None:
    if action == "subscription.cancel":
        office.person("ada").does(action, "POST", "/billing/subscription/cancel")
        events.clear()

    office.person("ada").does(action, method, path.format(**things), body, expect=status)

    (event,) = events
    assert (event["action"], event["outcome"], event["actor"]) == (action, "failure", ADA)
    assert reason in event["details"]["reason"]
    assert "changes" not in event["details"]
    taken(event)


def test_nobody_gives_a_role_above_their_own(office: Office, events: list[Json]) -> None:
    office.person("bruno").does("team_member.update", "PATCH", "/members/usr_chidi", {"role": "owner"}, expect=403)

    assert events[0]["outcome"] == "denied"
    assert events[0]["details"] == {"role": "admin", "needed_role": "owner"}
    assert events[0]["resource"] == {"id": "usr_chidi", "name": "Chidi Nwosu"}


def test_a_program_is_an_actor_of_its_own_type(office: Office, events: list[Json]) -> None:
    office.person("ci").does("project.update", "PATCH", "/projects/prj_web", {"cache_seconds": 90})

    assert events[0]["actor"] == {"type": "api_key", "id": "key_ci", "name": "ci-deploy"}


def test_an_event_knows_where_its_request_came_from(office: Office, events: list[Json]) -> None:
    office.person("chidi").does("project.create", "POST", "/projects", {"name": "New"})

    context = events[0]["context"]
    assert context["ip"] == PEOPLE["chidi"]["X-Forwarded-For"]
    assert context["user_agent"] == PEOPLE["chidi"]["User-Agent"]
    assert context["request_id"]


def test_a_secret_is_answered_once_and_never_on_the_trail(office: Office, events: list[Json]) -> None:
    ada = office.person("ada")
    key = ada.does("api_key.create", "POST", "/api-keys", {"name": "k", "project_id": "prj_web"})
    body = {"name": "p", "provider": "openai", "token": "sk-kept-secret"}
    provider_key = ada.does("provider_key.create", "POST", "/provider-keys", body)
    path = f"/api-keys/{key['id']}/status"
    changed = ada.does("api_key.update_status", "PATCH", path, {"status": "inactive"})

    assert key["token"].startswith("gw_")
    assert "token" not in provider_key | changed
    trail = json.dumps(events)
    assert key["token"] not in trail
    assert "sk-kept-secret" not in trail


def test_nothing_but_a_restore_works_in_a_deleted_organization(office: Office, events: list[Json]) -> None:
    ada = office.person("ada")
    ada.does("organization.delete", "DELETE", "")
    ada.does("project.create", "POST", "/projects", {"name": "New"}, expect=410)
    ada.does("organization.update", "PATCH", "", {"status": "active"})
    ada.does("project.create", "POST", "/projects", {"name": "New"})

    assert [event["outcome"] for event in events] == ["success", "failure", "success", "success"]
    assert events[2]["details"]["changes"] == {"status": {"old": "deleted", "new": "active"}}


@pytest.mark.parametrize("headers", [{}, {"X-Demo-User": "nobody"}, {"Authorization": "Bearer gw_wrong"}])
def test_without_signing_in_nothing_happens(gateway: str, headers: dict[str, str], events: list[Json]) -> None:
    answer = httpx.delete(f"{gateway}/organizations/{ORGANIZATION}", headers=headers)

    assert answer.status_code == 401
    assert events == []


def test_another_organization_is_not_there(gateway: str, events: list[Json]) -> None:
    answer = httpx.get(f"{gateway}/organizations/org_other", headers={"X-Demo-User": "ada"})

    assert answer.status_code == 404
    assert events == []
