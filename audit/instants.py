"""Instants on the trail: RFC 3339 in, UTC milliseconds inside, RFC 3339 with `Z` out.

One millisecond grid for both engines makes order and range filters exact and the same everywhere: an event's time is cut
to the millisecond it happened in (floor), a bound between milliseconds moves up to the next one (ceil), and for events on
the grid `time >= bound` and `time >= ceil(bound)` say the same.
"""

import re
from datetime import UTC, datetime, timedelta

DAY_MS = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# RFC 3339, section 5.6; the offset is not optional, and neither is the time.
_rfc3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII
).fullmatch
# The form that this module writes, which is nearly all that arrives.
_normal = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch
_millisecond = timedelta(milliseconds=1)

HINT = "Write it like 2026-11-23T10:00:00.123Z or 2026-11-23T11:00:00+01:00: date, time and offset."


def parse_instant(text: object) -> datetime:
    """Read an RFC 3339 date-time with its offset, as UTC; digits past the microsecond are cut off.

    Raises ValueError with a sentence for the sender: not a string, no offset, not a date that exists.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be a string, not {type(text).__name__}. {HINT}")
    if _normal(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass  # the long way says what is wrong
    parts = _rfc3339(text)
    if parts is None:
        raise ValueError(f"is not an RFC 3339 date-time with an offset. {HINT}")
    day, time, fraction, offset = parts.groups()
    if offset in "Zz":
        offset = "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{offset}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        why = str(error).replace("..", " to ").partition(", not ")[0]
        raise ValueError(f"is not a date that exists ({why}). {HINT}") from None


def floor_ms(moment: datetime) -> datetime:
    """Cut to the millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def ceil_ms(moment: datetime) -> datetime:
    """Move up to the next whole millisecond, unless it is one."""
    floor = floor_ms(moment)
    return floor if floor == moment else floor + _millisecond


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z, rounded down."""
    return (moment - EPOCH) // _millisecond


def from_ms(milliseconds: int) -> datetime:
    """The inverse of `to_ms`."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def format_instant(moment: datetime) -> str:
    """`2026-11-23T10:00:00.123Z`: UTC, always three digits, so that text order is time order."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def utc_now() -> datetime:
    """The clock that services use unless a test gives them another."""
    return datetime.now(UTC)
