"""Retention: how long an organization's events stay, as a class named after its length.

`90d` means: an event is visible for 90 days to the second after it occurred, and the whole of its UTC day is deleted once
the end of that day is 90 days past. `forever` is never deleted.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from audit.errors import Invalid

MAXIMUM_DAYS = 36_500
_form = re.compile(r"([1-9]\d{0,5})d").fullmatch


@dataclass(frozen=True, slots=True)
class Retention:
    """A retention class. `days` is None for `forever`."""

    days: int | None

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """Read `90d` or `forever`. Raises Invalid for anything else: no unit, zero, past 36,500 days."""
        if text == "forever":
            return cls(None)
        found = _form(text)
        if found is None or int(found.group(1)) > MAXIMUM_DAYS:
            raise Invalid(
                f"{text!r} is no retention.",
                field="retention",
                limit=f"{MAXIMUM_DAYS}d",
                fix=f"Write whole days with their unit, from 1d to {MAXIMUM_DAYS}d, like 90d, or forever.",
            )
        return cls(int(found.group(1)))

    def __str__(self) -> str:
        return "forever" if self.days is None else f"{self.days}d"

    def visible_from(self, now: datetime) -> datetime | None:
        """The instant before which nothing is shown any more, or taken."""
        if self.days is None:
            return None
        try:
            return now - timedelta(days=self.days)
        except OverflowError:
            return None

    def due(self, day: date) -> datetime | None:
        """When the UTC day may be deleted: its end, and `days` more."""
        if self.days is None:
            return None
        try:
            return end_of(day) + timedelta(days=self.days)
        except OverflowError:
            return None


def end_of(day: date) -> datetime:
    """The first instant after a UTC day."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)
