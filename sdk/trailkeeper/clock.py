"""When: RFC 3339 in UTC with exactly three digits, quickly for now and carefully for what callers pass."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from trailkeeper.errors import InvalidEventError

# (second, "2026-11-23T10:00:00."): one tuple, so that threads always read a pair that belongs together.
_cached: tuple[int, str] = (-1, "")


def format_ms(milliseconds: int) -> str:
    """Write milliseconds since 1970 as `2026-11-23T10:00:00.123Z`. The text of the last second is remembered."""
    global _cached
    second, fraction = divmod(milliseconds, 1000)
    cached = _cached
    if cached[0] != second:
        cached = _cached = (second, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)))
    return f"{cached[1]}{fraction:03d}Z"


def wire_instant(value: Any) -> str:
    """Write what a caller passed as `occurred_at`: an aware datetime or an RFC 3339 string with its offset."""
    fix = "Pass a datetime with a time zone, as datetime.now(UTC), or a string like 2026-11-23T10:00:00.123Z."
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidEventError("occurred_at", f"{value!r:.60} is not a date and time.", fix) from None
    if not isinstance(value, datetime):
        raise InvalidEventError("occurred_at", f"is a {type(value).__name__}.", fix)
    if value.utcoffset() is None:
        raise InvalidEventError("occurred_at", "has no time zone.", fix)
    try:
        return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    except OverflowError:
        raise InvalidEventError("occurred_at", "is out of range in UTC.", fix) from None
