"""The common case, quickly: a line that is beyond doubt a valid event in its normal form.

The SDK writes the normal form, so nearly every line that arrives is read here, in a quarter of the time that the model takes
(`python -m bench validate`). What isn't recognised is not refused: `audit.wire.parse_event`, which alone knows what an event
is and what is wrong with one, then judges it. So this may be narrower than the model, and never wider; a property test holds
it to that (tests/audit/test_normal_bent.py).

Around details everything has one place and one spelling, which is a regular language: texts without an escape,
nobody acting on another's behalf. Details are read, and good where writing them again
gives the same bytes: then no key is repeated, and each text and number is spelled as the normal form does.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel

from audit.event import (
    ACTION_PATTERN,
    RESOURCE_TYPE_PATTERN,
    Actor,
    ActorType,
    Context,
    Event,
    Outcome,
    Resource,
    one_text_an_address,
)

NAMELESS = (ActorType.SYSTEM, ActorType.ANONYMOUS)


class Reading(NamedTuple):
    """What ingest needs to know of an event, and its normal form."""

    id: str
    organization_id: str
    occurred_at: datetime
    action: str
    resource_type: str | None
    details: Mapping[str, Any] | None
    normal: bytes
    resource_at: int | None = None
    """Where in the normal form the resource begins, where that is known."""


def _most(model: type[BaseModel], field: str) -> int:
    schema = model.model_json_schema()["properties"][field]
    return next(int(kind["maxLength"]) for kind in (schema, *schema.get("anyOf", ())) if "maxLength" in kind)


def _text(most: int) -> str:
    return rf'[^"\\\x00-\x1f\x7f]{{1,{most}}}'


def _member(model: type[BaseModel], field: str) -> str:
    return f'"{field}":"{_text(_most(model, field))}"'


def _some_of(*members: str) -> str:
    """Any of these members of an object, or none, in this order, with commas between them."""
    rests = ["".join(f"(?:,{member})?" for member in members[place + 1 :]) for place in range(len(members))]
    return "(?:" + "|".join(f"{member}{rest}" for member, rest in zip(members, rests, strict=True)) + ")?"


_ids = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_instants = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
_actor = (
    f'(?:"type":"(?:{"|".join(ActorType)})",{_member(Actor, "id")}|"type":"(?:{"|".join(NAMELESS)})")'
    f"(?:,{_member(Actor, 'name')})?(?:,{_member(Actor, 'email')})?"
)
_resource = _some_of(
    f'"type":"({RESOURCE_TYPE_PATTERN.strip("^$")})"', _member(Resource, "id"), _member(Resource, "name")
)
_context = _some_of(
    f'"ip":"({_text(64)})"',
    *(_member(Context, field) for field in ("user_agent", "request_id", "trace_id", "session_id")),
)
_before_details = re.compile(
    f'{{"id":"({_ids})","occurred_at":"({_instants})","organization_id":"({_text(_most(Event, "organization_id"))})"'
    f',"actor":{{{_actor}}},"action":"({ACTION_PATTERN.strip("^$")})","resource":{{(){_resource}}}'
    f',"outcome":"(?:{"|".join(Outcome)})"'
).match
_behind_details = re.compile(
    rf'(?:,"context":{{{_context}}})?(?:,{_member(Event, "source")})?}}\Z',
).match
_LONGEST_NAME = 128  # of an action, and of a resource's type

_loads, _dumps, _instant = orjson.loads, orjson.dumps, datetime.fromisoformat
# What a NamedTuple's own constructor does behind a call into Python, in half the time.
_new: Any = tuple.__new__
_DETAILS, _CONTEXT, _SOURCE = ',"details":', '},"context":{', '},"source":"'


def read_normal(line: bytes, most_bytes: int, depth: int) -> Reading | None:
    """Read a line that is a valid event in its normal form; None for any other.

    `most_bytes` is the smaller of the limits on an event and on a leaf of its details, `depth` the limit on those.
    """
    if len(line) > most_bytes:
        return None
    try:
        text = line.decode()
        if (found := _before_details(text)) is None:
            return None
        id, occurred_at, organization_id, action, _, _, resource_type = found.groups()
        details = None
        end = found.end()
        if text.startswith(_DETAILS, end):
            start = end + len(_DETAILS)
            # Where a key in details is called context or source too this may be a wrong place; then nothing fits.
            end = text.find(_CONTEXT, start) + 1 or text.find(_SOURCE, start) + 1 or len(text) - 1
            details = _read_details(text[start:end], depth)
            if details is None:
                return None
        rest = _behind_details(text, end)
        if rest is None or len(action) > _LONGEST_NAME or (resource_type and len(resource_type) > _LONGEST_NAME):
            return None
        if (address := rest[1]) is not None and one_text_an_address(address) != address:
            return None
        moment = _instant(occurred_at)
        # In characters; in bytes too, unless the organization or the actor before it has other letters than ASCII's.
        resource_at = found.start(6) if len(text) == len(line) else None
    except (ValueError, TypeError):  # no JSON, no UTF-8, no address, no such date; an integer of more than 64 bits
        return None
    reading: Reading = _new(Reading, (id, organization_id, moment, action, resource_type, details, line, resource_at))
    return reading


def _read_details(text: str, depth: int) -> dict[str, Any] | None:
    """Read details that are spelled as they would be written, and hold nothing that must be searched for; else None."""
    # RFC 8259, section 7: a control character can only come as an escape, save DEL.
    if "\x7f" in text or ("\\" in text and ("\\u" in text or "\\b" in text or "\\f" in text)):
        return None
    if text.count("{") + (text.count("[") if "[" in text else 0) > depth:
        return None
    details = _loads(text)
    return details if details.__class__ is dict and _dumps(details) == text.encode() else None
