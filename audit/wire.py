"""From bytes to an event, and back: the limits that are counted in bytes, levels and characters.

`parse_event` is what stands between the outside and the trail. It takes the common case in one pass: pydantic reads and
validates the JSON, the event is written back in its normal form, and where that is the very bytes that came in (the SDK
writes the normal form) nothing can have been dropped or changed. Only otherwise is the line read a second time, by a parser
that refuses a repeated key.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jiter
from pydantic import ValidationError

from audit.errors import InvalidEvent
from audit.event import Event
from audit.normal import NAMELESS, Reading, read_normal

_validate_json = Event.__pydantic_validator__.validate_json
_to_json = Event.__pydantic_serializer__.to_json

# How a control character can be spelled in JSON text (RFC 8259, section 7): only as an escape, save DEL.
_suspects = (b"\\u00", b"\\b", b"\\f", b"\x7f")
_control = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large one event may be. Each is a setting (TRAILKEEPER_EVENT_BYTES, …)."""

    event_bytes: int = 64 * 1024
    leaf_bytes: int = 8 * 1024
    depth: int = 8


Defaults = Mapping[str, Callable[[], str]]


def parse_event(line: bytes, limits: Limits, defaults: Defaults = MappingProxyType({})) -> tuple[Event, bytes]:
    """Read one JSON event; return it with its normal form: compact UTF-8 JSON, fields in the model's order, no nulls.

    `defaults` make the texts for a missing `id` and `occurred_at`. Raises InvalidEvent with the field, the limit and the
    fix.
    """
    if len(line) > limits.event_bytes:
        raise InvalidEvent(
            f"The event has {len(line):,} bytes.",
            limit=limits.event_bytes,
            fix="Put large content elsewhere and a reference to it into details.",
        )
    return _parse(line, limits, defaults)


def _parse(line: bytes, limits: Limits, defaults: Defaults) -> tuple[Event, bytes]:
    try:
        event = _validate_json(line)
    except ValidationError as error:
        if _lacks(error, defaults):
            return _parse(_with_defaults(line, defaults), limits, {})
        raise _explain(error, limits) from None
    except RecursionError:
        raise _too_deep(limits) from None
    try:
        normal: bytes = _to_json(event, exclude_none=True)
    except ValueError as error:  # a lone surrogate, a number beyond what JSON readers agree on
        raise InvalidEvent(
            f"The event can't be written as JSON: {error}.",
            field="details",
            fix="Send valid UTF-8 and finite numbers.",
        ) from None
    # pydantic takes and writes NaN and Infinity, which JSON does not have.
    if normal != line or b"NaN" in line or b"Infinity" in line:
        _refuse_repeated_keys(line)
        _refuse_infinities(event)
    if event.actor.id is None and event.actor.type not in NAMELESS:
        raise InvalidEvent(
            f"An actor of type {event.actor.type} has an id.",
            field="actor.id",
            fix="Send actor.id, or the type system or anonymous.",
        )
    _check_texts(event, line, normal, limits)
    return event, normal


def read_event(line: bytes, limits: Limits, defaults: Defaults = MappingProxyType({})) -> Reading:
    """Read one JSON event as `parse_event` does, in a quarter of the time where it is in its normal form already."""
    most = limits.leaf_bytes if limits.leaf_bytes < limits.event_bytes else limits.event_bytes
    found = read_normal(line, most, limits.depth)
    if found is not None:
        return found
    event, normal = parse_event(line, limits, defaults)
    return Reading(
        event.id, event.organization_id, event.occurred_at, event.action, event.resource.type, event.details, normal
    )


def with_resource_type(normal: bytes, resource_type: str, start: int | None = None) -> bytes:
    """Add the type to the resource of a normal form that has none; `start` is where that begins, if it is known."""
    if start is None:
        # No text before the resource can hold this unescaped quote, so the first place is the right one.
        start = normal.index(b',"resource":{') + len(b',"resource":{')
    behind = b'"' if normal.startswith(b"}", start) else b'",'
    return b"".join((normal[:start], b'"type":"', resource_type.encode(), behind, normal[start:]))


def stamp(normal: bytes, received_at: str, log_id: str, index: int, known: bool) -> bytes:
    """Add what ingest knows to an event's normal form: the exact bytes that are stored, and never rewritten."""
    mark = b"" if known else b',"catalog":"unknown"'
    return b'%b,"received_at":"%b","log":{"id":"%b","index":%d}%b}' % (
        normal[:-1],
        received_at.encode(),
        log_id.encode(),
        index,
        mark,
    )


def unstamp(stored: bytes) -> bytes:
    """Give the normal form back that `stamp` was given: what the sender's bytes are compared with."""
    return stored[: stored.rindex(b',"received_at":"')] + b"}"


def _lacks(error: ValidationError, defaults: Defaults) -> bool:
    """Tell whether a field is missing that has a default."""
    return any(
        item["type"] == "missing" and len(item["loc"]) == 1 and item["loc"][0] in defaults
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _with_defaults(line: bytes, defaults: Defaults) -> bytes:
    """Add the missing fields to the text of a JSON object, leaving the rest of it as it came."""
    present = _refuse_repeated_keys(line)
    missing = [f'"{name}":"{make()}"' for name, make in defaults.items() if name not in present]
    body = line.lstrip()[1:]
    comma = "" if not present else ","
    return b"{" + ",".join(missing).encode() + comma.encode() + body


def _refuse_repeated_keys(line: bytes) -> dict[str, Any]:
    try:
        content: dict[str, Any] = jiter.from_json(line, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidEvent(
            f"The event is not clear JSON: {str(error)[:300]}.",
            field=_quoted(str(error)),
            fix="Send each key once, and numbers that are finite.",
        ) from None
    return content


def _refuse_infinities(event: Event) -> None:
    """Refuse a number that no double can hold (1e400), which would be stored as something else."""
    for path, value, _ in _leaves(event.details or {}, "details", 1, 1000):
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidEvent(
                f"The number at {path[:200]} is too large.",
                field=path[:200],
                fix="Send numbers within the range of a double (RFC 8259, section 6), or a string.",
            )


def _quoted(text: str) -> str | None:
    found = re.search(r'"([^"]+)"', text)
    return found.group(1)[:200] if found else None


def _check_texts(event: Event, line: bytes, normal: bytes, limits: Limits) -> None:
    """Hold depth, leaf size and characters of `details` and texts; walk only where the bytes leave it open."""
    around = 1 + (b'"actor":' in normal) + (event.actor.on_behalf_of is not None) + 1 + (event.context is not None)
    if normal.count(b"{") + normal.count(b"[") - around > limits.depth or len(normal) > limits.leaf_bytes:
        for path, value, depth in _leaves(event.details or {}, "details", 1, limits.depth + 1):
            if depth > limits.depth:
                raise _too_deep(limits)
            size = len(path.encode()) + len(value.encode() if isinstance(value, str) else str(value))
            if size > limits.leaf_bytes:
                raise InvalidEvent(
                    f"The value at {path[:200]} has {size:,} bytes with its path.",
                    field=path[:200],
                    limit=limits.leaf_bytes,
                    fix="Shorten it, or put it elsewhere and a reference to it here.",
                )
    if any(suspect in line for suspect in _suspects):
        for path, value, _ in _leaves(event.model_dump(exclude_none=True), "", 0, 1000):
            for text in (path, value):
                if isinstance(text, str) and (found := _control.search(text)):
                    where = ascii(path[:200])[1:-1]
                    raise InvalidEvent(
                        f"There is the control character U+{ord(found.group()):04X} in {where}.",
                        field=where,
                        fix="Remove it; tab, line feed and carriage return may stay.",
                    )


def _leaves(value: Any, path: str, depth: int, deepest: int) -> Iterator[tuple[str, Any, int]]:
    """Walk to every scalar and empty container, with its dotted path and the number of containers it is in."""
    if depth <= deepest and value and isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        for key, item in steps:
            below = path if key is None else f"{path}.{key}" if path else str(key)
            yield from _leaves(item, below, depth + isinstance(item, dict | list), deepest)
    else:
        yield path, "" if isinstance(value, dict | list) else value, depth


def _too_deep(limits: Limits) -> InvalidEvent:
    return InvalidEvent(
        f"The details are nested more than {limits.depth} levels deep.",
        field="details",
        limit=limits.depth,
        fix="Flatten them: the details object itself is level 1.",
    )


_FIXES = {
    "id": "Send a UUIDv7 (RFC 9562), made once where the event is emitted and sent again unchanged on a retry.",
    "action": "Name it like api_key.create: dotted lower case, a resource and a verb.",
    "occurred_at": "Write it like 2026-11-23T10:00:00.123Z, with its offset.",
    "outcome": "Send success, failure or denied.",
    "actor": 'Send an object like {"type": "user", "id": "u_1", "name": "Ada", "email": "ada@example.com"}.',
    "received_at": "Leave it out: ingest sets it.",
    "log": "Leave it out: ingest sets it.",
    "catalog": "Leave it out: ingest sets it.",
}


def _explain(error: ValidationError, limits: Limits) -> InvalidEvent:
    """Say the first thing that is wrong as a sentence, and how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    path = ".".join(str(step) for step in first["loc"])[:200]  # a name nobody knows may be as long as the event
    context = first.get("ctx", {})
    limit = next((context[name] for name in ("max_length", "min_length") if name in context), None)
    kind, message = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "json_invalid":
        if "recursion" in message:
            return _too_deep(limits)
        return InvalidEvent(
            f"The event is not JSON: {context.get('error', message)}.",
            fix="Send one JSON object an event, in UTF-8.",
        )
    if kind == "model_type" and not path:
        return InvalidEvent("An event is a JSON object.", fix="Send one object an event.")
    if kind == "missing":
        detail = f"The field {path} is missing."
    elif kind == "extra_forbidden":
        detail = f"There is no field {path!r} in an event."
    else:
        detail = f"{path}: {message[:1].lower()}{message[1:]}."
    if len(problems) > 1:
        detail += f" And {len(problems) - 1} more field{'s' if len(problems) > 2 else ''}."
    fix = _FIXES.get(path) or (
        "Use the fields of the event, and put everything else into details."
        if kind == "extra_forbidden"
        else "See the event's fields in the API's documentation (/docs)."
    )
    return InvalidEvent(detail.replace("..", "."), field=path or None, limit=limit, fix=fix)
