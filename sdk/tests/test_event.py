"""What a call becomes: names to fields, defaults, everything else into details, clear errors."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import trailkeeper
from trailkeeper import Action, Actor, InvalidEventError, capture_audit
from trailkeeper.encode import encode


def emitted(audit: trailkeeper.AuditLogger, action: str = "api_key.create", **fields: Any) -> dict[str, Any]:
    with capture_audit() as events:
        audit.info(action, **fields)
    return events[0]


def test_a_call_becomes_an_event_in_the_order_of_the_wire(audit: trailkeeper.AuditLogger) -> None:
    event = emitted(
        audit,
        resource_type="api_key",
        resource_id="key_1",
        resource_name="CI",
        details={"a": 1},
        ip="192.0.2.7",
        source="gateway",
        occurred_at="2026-11-23T11:00:00.123456+01:00",
        id="019ab000-0000-7000-8000-000000000001",
    )

    assert list(event.items()) == [
        ("id", "019ab000-0000-7000-8000-000000000001"),
        ("occurred_at", "2026-11-23T10:00:00.123Z"),
        ("organization_id", "org_1"),
        ("actor", {"type": "user", "id": "u_1"}),
        ("action", "api_key.create"),
        ("resource", {"type": "api_key", "id": "key_1", "name": "CI"}),
        ("outcome", "success"),
        ("details", {"a": 1}),
        ("context", {"ip": "192.0.2.7"}),
        ("source", "gateway"),
    ]


def test_fields_that_are_not_given_are_left_out(audit: trailkeeper.AuditLogger) -> None:
    assert set(emitted(audit)) == {
        "id",
        "occurred_at",
        "organization_id",
        "actor",
        "action",
        "resource",
        "outcome",
    }


def test_occurred_at_is_now_in_utc_with_three_digits(audit: trailkeeper.AuditLogger) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    text = emitted(audit)["occurred_at"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert before <= datetime.fromisoformat(text) <= datetime.now(UTC)


def test_an_aware_datetime_is_written_in_utc(audit: trailkeeper.AuditLogger) -> None:
    moment = datetime(2026, 11, 23, 1, 2, 3, 456789, timezone(timedelta(hours=5, minutes=30)))

    assert emitted(audit, occurred_at=moment)["occurred_at"] == "2026-11-22T19:32:03.456Z"


def test_every_action_of_the_catalog_can_be_passed_as_a_member_or_a_string(audit: trailkeeper.AuditLogger) -> None:
    assert len(Action) == 22
    for action in Action:
        assert action.name == action.value.upper().replace(".", "_")
        assert emitted(audit, action)["action"] == emitted(audit, str(action))["action"] == action.value


def test_an_action_of_ones_own_is_taken(audit: trailkeeper.AuditLogger) -> None:
    assert emitted(audit, "invoice.line_2.send")["action"] == "invoice.line_2.send"


@pytest.mark.parametrize(
    "action", ["", "create", "Api_key.create", "api key.create", ".create", "a..b", "a.b\n", "a." + "b" * 127, None, 7]
)
def test_what_is_no_action_is_refused_with_its_fix(audit: trailkeeper.AuditLogger, action: Any) -> None:
    with capture_audit(), pytest.raises(InvalidEventError, match=r"action .* Write it like api_key\.create") as caught:
        audit.info(action)
    assert caught.value.field == "action"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"organization_id": None}, "organization_id"),
        ({"organization_id": ""}, "organization_id"),
        ({"organization_id": "x" * 129}, "organization_id"),
        ({"organization_id": True}, "organization_id"),
        ({"actor": None}, "actor"),
        ({"actor": "ada"}, "actor"),
        ({"actor": {"type": "robot", "id": "1"}}, "actor.type"),
        ({"actor": {"type": ["user"], "id": "1"}}, "actor.type"),
        ({"actor": {"type": "user"}}, "actor.id"),
        ({"actor": {"type": "user", "id": "1", "role": "x"}}, "actor.role"),
        ({"actor": {"id": "1", "on_behalf_of": {"type": "user"}}}, "actor.on_behalf_of.id"),
        ({"outcome": "ok"}, "outcome"),
        ({"details": ["a"]}, "details"),
        ({"resource": "key_1"}, "resource"),
        ({"resource": {"id": "1", "kind": "x"}}, "resource"),
        ({"resource_type": "API key"}, "resource.type"),
        ({"resource_type": "a.b"}, "resource.type"),
        ({"resource_id": 1.5}, "resource.id"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": datetime(2026, 11, 23)}, "occurred_at"),  # noqa: DTZ001 - the point of it
        ({"occurred_at": 1_700_000_000}, "occurred_at"),
        ({"id": "key_1"}, "id"),
        ({"id": "7d3c0b9a-52b8-4f5e-9c5b-0a8f5e3a9d11"}, "id"),
        ({"context": "x"}, "context"),
        ({"source": "x" * 129}, "source"),
        ({"details": {"text": "x" * 9000}}, "details.text"),
        ({"details": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}}}, "details"),
        ({"details": {str(n): "x" * 1000 for n in range(70)}}, "details"),
    ],
)  # fmt: skip
def test_an_invalid_field_is_named(audit: trailkeeper.AuditLogger, fields: dict[str, Any], field: str) -> None:
    with capture_audit() as events, pytest.raises(InvalidEventError) as caught:
        audit.info("api_key.create", **fields)
    assert caught.value.field == field
    assert caught.value.fix
    assert events == []


def test_an_actor_is_a_dataclass_or_a_mapping(audit: trailkeeper.AuditLogger) -> None:
    support = Actor("u_2", name="Sam", on_behalf_of=Actor("u_1", email="ada@example.com"))
    expected = {
        "type": "user",
        "id": "u_2",
        "name": "Sam",
        "on_behalf_of": {"type": "user", "id": "u_1", "email": "ada@example.com"},
    }

    assert emitted(audit, actor=support)["actor"] == expected
    assert emitted(audit, actor=expected)["actor"] == expected


def test_system_and_anonymous_go_without_an_id(audit: trailkeeper.AuditLogger) -> None:
    assert emitted(audit, actor=Actor(type="system"))["actor"] == {"type": "system"}
    assert emitted(audit, actor={"type": "anonymous"})["actor"] == {"type": "anonymous"}


def test_a_resource_is_one_mapping_or_three_keywords(audit: trailkeeper.AuditLogger) -> None:
    whole = {"type": "project", "id": "p_1", "name": "Docs"}

    assert emitted(audit, resource=whole)["resource"] == whole
    assert emitted(audit, resource=whole, resource_id=UUID(int=7))["resource"]["id"] == str(UUID(int=7))
    assert emitted(audit, resource_id=42)["resource"] == {"id": "42"}


def test_the_outcome_is_a_verb_or_a_field(audit: trailkeeper.AuditLogger) -> None:
    with capture_audit() as events:
        audit.failure("api_key.create")
        audit.denied("api_key.create")
        audit.info("api_key.create", outcome="denied")

    assert [event["outcome"] for event in events] == ["failure", "denied", "denied"]


def test_what_is_no_field_goes_into_details(audit: trailkeeper.AuditLogger) -> None:
    event = emitted(audit.bind(region="eu"), details={"plan": "pro"}, seats=3)

    assert event["details"] == {"region": "eu", "seats": 3, "plan": "pro"}


def test_context_comes_from_structlogs_contextvars(audit: trailkeeper.AuditLogger) -> None:
    """The audit logger needs no merge_contextvars, and takes nothing but fields of an event from there."""
    with structlog.contextvars.bound_contextvars(
        organization_id="org_2", actor=Actor("u_9"), ip="::1", request_id="r_1", log_only="x"
    ):
        event = emitted(trailkeeper.get_logger())
        closer = emitted(audit, request_id="r_2")

    assert event["organization_id"] == "org_2"
    assert event["actor"] == {"type": "user", "id": "u_9"}
    assert event["context"] == {"ip": "::1", "request_id": "r_1"}
    assert "details" not in event
    assert (closer["organization_id"], closer["context"]["request_id"]) == ("org_1", "r_2")


def test_what_the_audited_person_writes_cannot_keep_an_event_off_the_trail(audit: trailkeeper.AuditLogger) -> None:
    event = emitted(
        audit,
        resource_name="n" * 600,
        user_agent="a" * 5000,
        ip="not an address",
        details={"note": "a\0b\x1b\ud800\x7f"},
    )

    assert event["resource"]["name"] == "n" * 511 + "…"
    assert event["context"] == {"user_agent": "a" * 1023 + "…"}
    assert event["details"] == {"ip": "not an address", "note": "a␀b␛\ufffd␡"}


def test_values_that_json_has_no_form_for_are_converted(audit: trailkeeper.AuditLogger) -> None:
    class Plan(Enum):
        PRO = "pro"

    @dataclasses.dataclass
    class Limit:
        usd: Decimal

    class Model:
        def model_dump(self) -> dict[str, int]:
            return {"a": 1}

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    details = {
        "datetime": datetime(2026, 1, 2, tzinfo=UTC),
        "date": date(2026, 1, 2),
        "duration": timedelta(minutes=1),
        "uuid": UUID(int=1),
        "decimal": Decimal("1.10"),
        "enum": Plan.PRO,
        "set": {"b", "a"},
        "mixed": frozenset([1]),
        "bytes": b"\x00\x01",
        "path": Path("/a"),
        "dataclass": Limit(Decimal(5)),
        "model": Model(),
        "error": ValueError("no"),
        "hostile": Hostile(),
        "tuple": (1, None, True),
    }
    assert emitted(audit, details=details)["details"] == {
        "datetime": "2026-01-02T00:00:00+00:00",
        "date": "2026-01-02",
        "duration": 60.0,
        "uuid": str(UUID(int=1)),
        "decimal": "1.10",
        "enum": "pro",
        "set": ["a", "b"],
        "mixed": [1],
        "bytes": "AAE=",
        "path": "/a",
        "dataclass": {"usd": "5"},
        "model": {"a": 1},
        "error": "ValueError: no",
        "hostile": "<Hostile>",
        "tuple": [1, None, True],
    }
    assert emitted(audit, details={"nan": float("nan"), UUID(int=1): 1, 2: 3})["details"] == {
        "nan": "nan",
        str(UUID(int=1)): 1,
        "2": 3,
    }
    assert b"nested deeper" in encode({"details": cycle})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes() | st.uuids(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers() | st.uuids(), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_any_details_make_one_line_of_clean_utf8(value: Any) -> None:
    import json

    line = encode({"details": {"value": value}})

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")

    def check(part: Any) -> None:
        if isinstance(part, str):
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", part)
        elif isinstance(part, list):
            for item in part:
                check(item)
        elif isinstance(part, dict):
            for key, item in part.items():
                check(key)
                check(item)

    check(json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")))
