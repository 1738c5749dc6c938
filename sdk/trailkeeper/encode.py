"""From an event to its line: compact JSON in UTF-8, whatever the application put into details.

The common case is one call of the C encoder. Only where that fails, or where a character escaped that no store takes,
the event is walked and made fit: nothing an application passes may keep an event off the trail.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from collections.abc import Set as AnySet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

_DEEPEST = 64


def to_json(value: Any) -> Any:
    """Turn a value that JSON has no form for into one it has. Never raises.

    Dates as ISO 8601, durations as seconds, enums as their value, bytes as base64, sets as lists, exceptions as
    "Type: message", dataclasses and models as objects, anything else as its str().
    """
    try:
        return _convert(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _convert(value: Any) -> Any:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case Enum():
            return value.value
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case Mapping():
            return dict(value)
        case AnySet():
            return _ordered(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"
    if not isinstance(value, type):
        if is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in fields(value)}
        if callable(dump := getattr(value, "model_dump", None)):
            return dump()
    return str(value)


def _ordered(values: AnySet[Any]) -> list[Any]:
    """Give a set the same order every time, where it has one."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


# ensure_ascii off: the line is UTF-8, as the server's normal form. allow_nan off: NaN is not JSON.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_json).encode


def encode(event: Mapping[str, Any]) -> bytes:
    """Write an event as one line of NDJSON, its line feed included. Never raises for what is in it."""
    try:
        text = _encode(event)
        if not ("\\" in text and _escapes(text)) and "\x7f" not in text:
            return (text + "\n").encode()
    except (TypeError, ValueError, RecursionError):  # a key that is no text, NaN, a cycle, a lone surrogate
        pass
    return (_encode(fit(event)) + "\n").encode()


# How the encoder spells the control characters that no store takes. A false alarm costs a walk and changes nothing.
_escapes = re.compile(r"\\(?:u00|b|f)").search
_forbidden = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _picture(found: re.Match[str]) -> str:
    """Show a control character as its picture (␀ for NUL), a lone surrogate as the replacement character."""
    code = ord(found.group())
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"


def fit(value: Any, depth: int = 0) -> Any:
    """Copy a value so that every part of it is plain JSON with no character that stores refuse."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _forbidden.sub(_picture, str.__str__(value))
    if isinstance(value, int):
        return int(value) if value.bit_length() <= 64 else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if depth > _DEEPEST:  # also where a cycle ends
        return f"<{type(value).__name__}: nested deeper than {_DEEPEST}>"
    if isinstance(value, dict):
        return {fit(_key(key)): fit(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fit(item, depth + 1) for item in value]
    return fit(to_json(value), depth + 1)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return json.dumps(key)
    plain = to_json(key)
    return plain if isinstance(plain, str) else str(plain)
