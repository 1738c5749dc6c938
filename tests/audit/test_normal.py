"""The quick reading of an event in its normal form is never wider than the model, and agrees with it."""

import string
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import InvalidEvent
from audit.event import Actor, Context, Event, Resource
from audit.normal import read_normal
from audit.wire import Limits, parse_event, read_event

LIMITS = Limits()
EVENT: dict[str, Any] = {
    "id": "01a2089f-d3b0-7000-bbfa-e4f4ffdf04c7",
    "occurred_at": "2026-11-23T10:00:00.123Z",
    "organization_id": "org_acme",
    "actor": {"type": "user", "id": "usr_1", "name": "Ada", "email": "ada@example.com"},
    "action": "api_key.update_limit",
    "resource": {"type": "api_key", "id": "key_1", "name": "Production"},
    "outcome": "success",
    "details": {"changes": {"limit": {"old": 100, "new": 250.5}}, "note": None},
    "context": {"ip": "203.0.113.9", "user_agent": "curl/8", "request_id": "r", "trace_id": "t", "session_id": "s"},
    "source": "gateway",
}
texts = st.text(max_size=12) | st.sampled_from(["", "user", "a.b", "API.x", "1.2.3.4", "::1", "system", "x" * 300])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=12
)


def accepted(line: bytes) -> bytes | None:
    try:
        return parse_event(line, LIMITS)[1]
    except InvalidEvent:
        return None


def read(line: bytes) -> bytes | None:
    try:
        return read_event(line, LIMITS).normal
    except InvalidEvent:
        return None


def test_an_event_in_its_normal_form_is_recognised():
    line = orjson.dumps(EVENT)

    found = read_normal(line, 8192, 8)
    assert found is not None
    assert found.details == EVENT["details"]
    assert read_event(line, LIMITS).normal == accepted(line) == line


def test_every_field_of_the_model_has_its_place_in_the_quick_reading():
    for part, model in ((EVENT, Event), (EVENT["resource"], Resource), (EVENT["context"], Context)):
        assert set(part) == set(model.model_fields)
    # Acting on another's behalf is rare, and left to the model.
    assert {*EVENT["actor"], "on_behalf_of"} == set(Actor.model_fields)


@given(st.data())
def test_what_is_recognised_is_what_the_model_takes_byte_for_byte(data: st.DataObject):
    event = orjson.loads(orjson.dumps(EVENT))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(
            st.sampled_from([event, event["actor"], event["resource"], event["context"], event["details"]])
        )
        key = data.draw(st.sampled_from([*where, "extra", "on_behalf_of", "received_at"]))
        if data.draw(st.booleans()) and key in where:
            del where[key]
        else:
            where[key] = data.draw(values)
        if not all(isinstance(event.get(part), dict) for part in ("actor", "resource", "context", "details")):
            break
    try:
        line = orjson.dumps(event)
    except (TypeError, orjson.JSONEncodeError):
        return  # an integer that this writer can't write
    assert read(line) == accepted(line)


@given(
    st.integers(0, 700), st.binary(min_size=1, max_size=3) | st.sampled_from(list(map(str.encode, string.printable)))
)
def test_no_small_damage_is_recognised_that_the_model_refuses(place: int, piece: bytes):
    line = orjson.dumps(EVENT)
    for damaged in (line[:place] + piece + line[place:], line[:place] + piece + line[place + len(piece) :]):
        assert read(damaged) == accepted(damaged)


@pytest.mark.parametrize(
    "line",
    [
        orjson.dumps(EVENT).replace(b'"source":"gateway"', b'"source":"gateway","source":"gateway"'),
        orjson.dumps(EVENT).replace(b'"old":100', b'"old":100,"old":100'),
        orjson.dumps(EVENT).replace(b"250.5", b"NaN"),
        orjson.dumps(EVENT).replace(b"250.5", b"1e400"),
        orjson.dumps(EVENT).replace(b"250.5", b"[[[[[[[]]]]]]]"),
        orjson.dumps(EVENT).replace(b"2026-11-23", b"2026-02-30"),
        orjson.dumps(EVENT).replace(b"203.0.113.9", b"203.0.113.256"),
        orjson.dumps(EVENT).replace(b"Production", b"Produ\\u0000tion"),
        orjson.dumps({**EVENT, "actor": {"type": "user"}}),
    ],
)
def test_what_is_wrong_is_refused_by_the_quick_way_in_too(line: bytes):
    with pytest.raises(InvalidEvent):
        read_event(line, LIMITS)
