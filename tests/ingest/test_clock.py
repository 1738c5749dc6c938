"""Time: how far ahead and how far back an event may be, to the millisecond, by a clock that the test sets."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audit.instants import format_instant
from audit.retention import Retention
from ingest.spool import Spool
from store.retentions import Retentions
from store.sqlite import SqliteStore
from tests.ingest.sending import Way, event, spooled, statuses

NOW = datetime(2026, 11, 23, 12, 0, 0, 500_000, UTC)
MILLISECOND = timedelta(milliseconds=1)


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def way(tmp_path: Path, sqlite: SqliteStore, runner: asyncio.Runner, clock: Clock) -> Iterator[Way]:
    with spooled(Spool(tmp_path / "spool.sqlite"), sqlite, runner, clock) as way:
        yield way


def at(moment: datetime, organization_id: str = "org_1") -> bytes:
    return json.dumps(event(occurred_at=format_instant(moment), organization_id=organization_id)).encode()


@pytest.mark.parametrize(
    ("moment", "status"),
    {
        "five minutes ahead": (NOW + timedelta(minutes=5), "accepted"),
        "a millisecond more": (NOW + timedelta(minutes=5) + MILLISECOND, "rejected"),
        "ninety days back": (NOW - timedelta(days=90), "accepted"),
        "a millisecond more back": (NOW - timedelta(days=90) - MILLISECOND, "rejected"),
        "the last millisecond there is": (datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC), "rejected"),
        "the first": (datetime(1, 1, 1, tzinfo=UTC), "rejected"),
    }.values(),
)
def test_bounds_are_exact(way: Way, moment: datetime, status: str) -> None:
    assert statuses(way.batch(at(moment))) == [status]


def test_the_organizations_own_retention_counts(way: Way, sqlite: SqliteStore) -> None:
    Retentions(sqlite.records, "90d").set("org_1", Retention.parse("10d"))

    assert statuses(way.batch(at(NOW - timedelta(days=11)), at(NOW - timedelta(days=9)))) == ["rejected", "accepted"]


def test_forever_takes_what_is_as_old_as_it_may_be(way: Way, sqlite: SqliteStore) -> None:
    Retentions(sqlite.records, "90d").set("org_1", Retention.parse("forever"))

    assert statuses(way.batch(at(datetime(1971, 1, 1, tzinfo=UTC)))) == ["accepted"]


def test_a_clock_that_steps_back_refuses_nothing_that_was_taken(way: Way, clock: Clock) -> None:
    sent = at(NOW)
    way.batch(sent)
    clock.now = NOW - timedelta(minutes=4)

    assert statuses(way.batch(sent)) == ["duplicate"]


def test_the_receipt_is_by_the_servers_clock(way: Way, sqlite: SqliteStore) -> None:
    way.batch(at(NOW - timedelta(days=1)), ack="indexed")

    assert [each["received_at"] for each in way.stored()] == [format_instant(NOW)]
