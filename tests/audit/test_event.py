"""The event's model, field by field: what each takes, and where it ends."""

from typing import Any

import pytest
from pydantic import ValidationError

from audit.event import Actor, ActorType, Event, Outcome
from audit.ids import new_id

REQUIRED: dict[str, Any] = {
    "id": "019aaaaa-0000-7000-8000-000000000000",
    "occurred_at": "2026-11-23T10:00:00.123Z",
    "organization_id": "org_1",
    "actor": {"type": "user", "id": "u_1"},
    "action": "api_key.create",
}

# Field, and the most characters it may have.
LONGEST = {
    "organization_id": 128,
    "source": 128,
    "actor.id": 256,
    "actor.name": 256,
    "actor.email": 320,
    "actor.on_behalf_of.id": 256,
    "actor.on_behalf_of.name": 256,
    "actor.on_behalf_of.email": 320,
    "resource.id": 512,
    "resource.name": 512,
    "context.user_agent": 1024,
    "context.request_id": 256,
    "context.trace_id": 256,
    "context.session_id": 256,
}
TEXTS = [*LONGEST, "action", "outcome", "actor.type", "resource.type", "context.ip", "id", "occurred_at"]


def event(field: str, value: Any) -> dict[str, Any]:
    """An event with a value at a dotted path."""
    fields: dict[str, Any] = {**REQUIRED, "actor": {"type": "user", "id": "u_1"}}
    *steps, last = field.split(".")
    place = fields
    for step in steps:
        place = place.setdefault(step, {"id": "u_2"} if step == "on_behalf_of" else {})
    place[last] = value
    return fields


def errors(field: str, value: Any) -> list[str]:
    """The paths that an event with this value is wrong at."""
    try:
        Event.model_validate(event(field, value))
    except ValidationError as error:
        return [".".join(map(str, each["loc"])) for each in error.errors()]
    return []


@pytest.mark.parametrize(("field", "longest"), LONGEST.items())
class TestLengths:
    def test_the_longest_is_taken(self, field: str, longest: int) -> None:
        assert errors(field, "é" * longest) == []

    def test_a_character_more_is_not(self, field: str, longest: int) -> None:
        assert errors(field, "é" * (longest + 1)) == [field]

    def test_an_empty_text_is_not(self, field: str, longest: int) -> None:
        assert errors(field, "") == [field]


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", [7, 1.5, True, [], {}], ids=repr)
def test_a_text_is_nothing_else(field: str, value: Any) -> None:
    assert errors(field, value) == [field]


@pytest.mark.parametrize("name", [*REQUIRED])
def test_a_required_field_is_required(name: str) -> None:
    fields = {each: value for each, value in REQUIRED.items() if each != name}

    with pytest.raises(ValidationError, match="missing"):
        Event.model_validate(fields)


@pytest.mark.parametrize("part", ["", "actor.", "actor.on_behalf_of.", "resource.", "context."])
def test_an_unknown_field_is_refused_everywhere(part: str) -> None:
    assert errors(f"{part}colour", "red") == [f"{part}colour"]


@pytest.mark.parametrize(
    "action", ["a.b", "api_key.iam_rule.create", "a1.b_2", "x" * 126 + ".y", "payment.credit_topup"]
)
def test_an_action_is_dotted_lower_case(action: str) -> None:
    assert errors("action", action) == []


@pytest.mark.parametrize(
    "action",
    ["a", "", ".", "a.", ".b", "a..b", "A.b", "a.B", "1a.b", "a.1b", "_a.b", "a-b.c", "a b.c",
     "a.b\n", "a.b ", "é.b", "x" * 127 + ".y"],
)  # fmt: skip
def test_and_nothing_else(action: str) -> None:
    assert errors("action", action) == ["action"]


@pytest.mark.parametrize("type", ["api_key", "x", "x" * 128])
def test_a_resource_type_is_one_part_of_an_action(type: str) -> None:
    assert errors("resource.type", type) == []


@pytest.mark.parametrize("type", ["", "a.b", "A", "a\n", "1", "x" * 129])
def test_a_resource_type_is_nothing_else(type: str) -> None:
    assert errors("resource.type", type) == ["resource.type"]


@pytest.mark.parametrize("type", ActorType)
def test_actor_types(type: str) -> None:
    assert errors("actor.type", type) == []


def test_the_actor_types_are_the_designs() -> None:
    assert {*ActorType} == {"user", "api_key", "service", "system", "anonymous"}


def test_the_outcomes_are_the_designs() -> None:
    assert {*Outcome} == {"success", "failure", "denied"}


def test_the_outcome_defaults_to_success() -> None:
    assert Event.model_validate(REQUIRED).outcome == "success"


@pytest.mark.parametrize("outcome", ["Success", "ok", ""])
def test_an_outcome_is_one_of_three(outcome: str) -> None:
    assert errors("outcome", outcome) == ["outcome"]


@pytest.mark.parametrize("details", [[], "text", 1, True], ids=repr)
def test_details_are_an_object(details: Any) -> None:
    assert errors("details", details) == ["details"]


@pytest.mark.parametrize(
    "id",
    [
        "41b8a5b2-2f7a-4b0e-9a25-3f5ac9aee201",
        "019aaaaa-0000-7000-c000-000000000000",
        "019aaaaa000070008000000000000000",
        "{019aaaaa-0000-7000-8000-000000000000}",
        "urn:uuid:019aaaaa-0000-7000-8000-000000000000",
        "019aaaaa-0000-7000-8000-00000000000",
        "019aaaaa-0000-7000-8000-000000000000\n",
        "019aaaaa-0000-7000-8000-00000000000g",
        "",
    ],
)
def test_an_id_is_a_uuid_of_version_7(id: str) -> None:
    assert errors("id", id) == ["id"]


def test_an_id_is_kept_in_lower_case() -> None:
    id = new_id()

    assert Event.model_validate(event("id", id.upper())).id == id


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1", "fe80::1%eth0"])
def test_an_ip_is_an_address(ip: str) -> None:
    assert errors("context.ip", ip) == []


@pytest.mark.parametrize(
    "ip", ["192.0.2.256", "192.0.2", "192.0.2.1/24", "192.0.2.1:80", "192.0.2.1%eth0", "[::1]", "localhost", ""]
)
def test_an_ip_is_no_name_net_or_port(ip: str) -> None:
    assert errors("context.ip", ip) == ["context.ip"]


def test_an_event_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Event.model_validate(REQUIRED).actor.type = ActorType.SYSTEM


def test_somebody_may_act_for_somebody_else() -> None:
    actor = Actor.model_validate({"type": "user", "id": "u_1", "on_behalf_of": {"id": "u_2"}})

    assert actor.on_behalf_of is not None
    assert (actor.on_behalf_of.type, actor.on_behalf_of.id) == ("user", "u_2")
