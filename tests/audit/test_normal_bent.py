"""The quick reading of the normal form is never wider than the model, and takes what the SDK writes."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audit.errors import InvalidEvent
from audit.normal import Reading, read_normal
from audit.wire import Limits, parse_event, with_resource_type

LIMITS = Limits()
ID = "019ab0c4-5e1a-7c3d-9a2b-1f2e3d4c5b6a"
EVENT: dict[str, Any] = {
    "id": ID,
    "occurred_at": "2026-11-23T10:00:00.123Z",
    "organization_id": "org_1",
    "actor": {"type": "user", "id": "usr_1", "name": "Ada", "email": "ada@example.com"},
    "action": "api_key.update_limit",
    "resource": {"id": "key_1", "name": "CI"},
    "outcome": "success",
    "details": {"changes": {"limit_usd": {"old": 10, "new": 12.5}}, "tags": ["a", None, True]},
    "context": {"ip": "192.0.2.7", "user_agent": "curl/8", "request_id": "r", "trace_id": "t", "session_id": "s"},
    "source": "gateway",
}


def read(line: bytes) -> Reading | None:
    found = read_normal(line, LIMITS.leaf_bytes, LIMITS.depth)
    if found is None:
        return None
    # Where the resource begins is known beforehand, or found: the same place.
    assert with_resource_type(line, "t", found.resource_at) == with_resource_type(line, "t")
    return found._replace(resource_at=None)


def judged(line: bytes) -> Reading:
    event, normal = parse_event(line, LIMITS)
    return Reading(
        event.id, event.organization_id, event.occurred_at, event.action, event.resource.type, event.details, normal
    )


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in (EVENT | more).items() if name not in names}


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        without("details"),
        without("context"),
        without("source"),
        without("details", "context", "source"),
        without("context", "source"),
        without(resource={}),
        without(resource={"type": "api_key"}),
        without(resource={"type": "api_key", "name": "CI"}),
        without(actor={"type": "system"}),
        without(actor={"type": "anonymous", "name": "Somebody"}),
        without(context={}),
        without(context={"trace_id": "t"}),
        without(details={}),
        without(details={"context": {"ip": "no address"}}),
        without(details={"text": 'two\nlines "quoted" in C:\\'}),
        without(organization_id="Zoë & Søn 東京"),
    ],
)
def test_what_the_sdk_writes_is_recognised_as_the_model_has_it(event: dict[str, Any]) -> None:
    line = orjson.dumps(event)
    assert read(line) == judged(line)


@pytest.mark.parametrize(
    "line",
    [
        orjson.dumps(EVENT, option=orjson.OPT_INDENT_2),
        orjson.dumps(without(id=ID.upper())),
        orjson.dumps(without(occurred_at="2026-02-30T10:00:00.123Z")),
        orjson.dumps(without(occurred_at="2026-11-23T24:00:00.000Z")),
        orjson.dumps(without(occurred_at="2026-11-23T10:00:00Z")),
        orjson.dumps(without(actor={"type": "user"})),
        orjson.dumps(without(actor={"type": "robot", "id": "r"})),
        orjson.dumps(without(actor={"id": "usr_1", "type": "user"})),
        orjson.dumps(without(action="Api_Key.create")),
        orjson.dumps(without(action="a." + "b" * 127)),
        orjson.dumps(without(organization_id="o" * 129)),
        orjson.dumps(without(organization_id="")),
        orjson.dumps(without(resource={"type": "t" * 129})),
        orjson.dumps(without(outcome="done")),
        orjson.dumps(without(details=None)),
        orjson.dumps(without(details=[])),
        orjson.dumps(without(details={"text": "a\x00b"})),
        orjson.dumps(without(details={"text": "a\x7fb"})),
        orjson.dumps(without(details={"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}})),
        orjson.dumps(without(context={"ip": "::ffff:192.0.2.7"})),
        orjson.dumps(without(context={"ip": "192.0.2.700"})),
        orjson.dumps(without(more=1)),
        orjson.dumps(without(details={"n": 1})).replace(b'"n":1', b'"n":1.0e0'),
        orjson.dumps(without(details={"n": 1})).replace(b'"n":1', b'"n":1,"n":1'),
        orjson.dumps(without(details={"n": 1})).replace(b'"n":1', b'"n":36893488147419103232'),
        orjson.dumps(without(details={"n": 1})).replace(b'"n":1', b'"n":1e999'),
        orjson.dumps(EVENT).replace(b"Ada", b"\xed\xa0\x80"),
        orjson.dumps(EVENT) + b"\n",
        b"",
        b"[]",
    ],
)
def test_what_takes_a_closer_look_is_left_to_the_model(line: bytes) -> None:
    assert read(line) is None


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["a", "", '"', "\\", "\x7f", "\n", "é" * 200, "a" * 256, "a" * 257, "b" * 513]),
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
values = st.one_of(trees, st.sampled_from(["system", "user", "192.0.2.7", "::1", "api_key", "a.b", "failure", {}]))


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """An event's line with something about it changed: a value, a member, a few bytes."""
    event = orjson.loads(orjson.dumps(EVENT))
    for name in draw(st.sets(st.sampled_from(sorted(EVENT)), max_size=3)):
        part = event[name]
        if isinstance(part, dict) and draw(st.booleans()):
            part[draw(st.one_of(st.sampled_from([*part, "type", "id", "on_behalf_of"]), texts))] = draw(values)
        elif draw(st.booleans()):
            del event[name]
        else:
            event[name] = draw(values)
    try:
        line = bytearray(orjson.dumps(event))
    except TypeError:  # an integer of more than 64 bits, a lone surrogate
        line = bytearray(orjson.dumps(EVENT))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(line)))
        line[start : start + draw(st.integers(0, 3))] = draw(
            st.one_of(
                st.binary(max_size=3), st.sampled_from([b'"', b",", b"{", b"}", b"0", b"e9", b"\\u0041", b'"a":1,'])
            )
        )
    return bytes(line)


@given(bent())
@example(orjson.dumps(EVENT))
@example(orjson.dumps(without("context", "source", details={"a": {}, "context": {"ip": "192.0.2.7"}})))
@example(orjson.dumps(without("source", details={"a": {}, "source": "x"})))
@settings(max_examples=1000, deadline=None)
def test_it_takes_nothing_that_the_model_would_not_and_reads_it_the_same(line: bytes) -> None:
    found = read(line)
    if found is not None:
        try:
            assert found == judged(line)
        except InvalidEvent as error:
            pytest.fail(f"it took {line!r}, and the model says: {error}")
