"""Deletes the days whose retention has ended, by the date they are for, on any store.

This is all there is on SQLite and where OpenSearch has no ISM. Where it has, ISM deletes, and only `overdue` is asked.
It works on the `Store` protocol alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from audit.errors import TrailkeeperError
from lifecycle.classes import known
from store.protocol import DayPartition, Store

GRACE = timedelta(hours=1)
"""How long after its due instant a day is overdue. ISM takes up to 13 minutes at its default interval of 5 (observed)."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gone:
    """A day that was deleted."""

    name: str
    retention: str
    day: date
    due: datetime
    events: int

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "name": self.name,
            "retention": self.retention,
            "day": self.day.isoformat(),
            "due": self.due.isoformat(),
            "events": self.events,
        }


@dataclass(frozen=True, slots=True)
class Reaping:
    """What one round deleted, and what it could not, as sentences."""

    gone: tuple[Gone, ...] = ()
    failed: tuple[str, ...] = ()


def every(day: DayPartition) -> bool:
    """Leave no day out."""
    return True


def due_at(day: DayPartition) -> datetime | None:
    """When a day may be deleted; None for never: `forever`, and any class that is not a length of time."""
    retention = known(day.retention)
    return retention.due(day.day) if retention is not None else None


def due(store: Store, now: datetime, *, late: timedelta = timedelta(0)) -> list[DayPartition]:
    """List the days whose due instant has come (it counts as come), or is `late` ago; oldest first."""
    return [day for day in store.days() if _has_come(due_at(day), now, late)]


def overdue(store: Store, now: datetime, *, grace: timedelta = GRACE) -> list[DayPartition]:
    """List the days that should have been gone for longer than the grace period."""
    return due(store, now, late=grace)


def reap(
    store: Store,
    now: datetime,
    *,
    only: Callable[[DayPartition], bool] = every,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reaping:
    """Delete the days that are due, oldest first; none a moment early, and no other class's.

    `only` leaves out days (held, or ISM's to delete). `progress` is told how many of how many are through. A day that
    fails is retried in the next round and holds up no other.
    """
    days = [day for day in due(store, now) if only(day)]
    gone, failed = [], []
    for number, day in enumerate(days, 1):
        try:
            events = store.delete_day(day.retention, day.day)
        except TrailkeeperError as error:
            log.warning("day_not_deleted", index=day.name, error=str(error))
            failed.append(f"{day.name} could not be deleted: {error}")
        else:
            until = due_at(day)
            assert until is not None
            log.info("day_deleted", index=day.name, retention=day.retention, events=events, due=until.isoformat())
            gone.append(Gone(day.name, day.retention, day.day, until, events))
        progress(number, len(days))
    return Reaping(tuple(gone), tuple(failed))


def _has_come(until: datetime | None, now: datetime, late: timedelta) -> bool:
    return until is not None and now - until >= late
