"""The worker prepares, deletes and reports, and nothing that fails stops it."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import structlog
from opensearchpy import OpenSearch
from structlog.typing import EventDict

from audit.errors import StoreUnavailable
from audit.retention import Retention
from lifecycle.days import DayOpener
from lifecycle.worker import LifecycleWorker
from store.retentions import Retentions
from store.sqlite import SqliteStore
from tests.lifecycle.conftest import document, names

DAY = date(2026, 8, 25)
DUE = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as events:
        yield events


def test_on_sqlite_a_round_deletes_what_is_due(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY), document("acme", "90d", DAY + timedelta(days=1))])
    worker = LifecycleWorker(sqlite, Retentions(sqlite.records, "90d"), clock=lambda: DUE)
    report = worker.run_once()
    assert names("90d", DAY) == [gone.name for gone in report.gone]
    assert report.healthy
    assert report.ism is None
    assert worker.last is report


def test_on_sqlite_a_moment_earlier_it_deletes_nothing(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    early = DUE - timedelta(milliseconds=1)
    report = LifecycleWorker(sqlite, Retentions(sqlite.records, "90d"), clock=lambda: early).run_once()
    assert report.gone == ()
    assert len(sqlite.days()) == 1


def test_a_report_is_plain_data(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    report = LifecycleWorker(sqlite, Retentions(sqlite.records, "90d"), clock=lambda: DUE).run_once()
    told = report.as_dict()
    assert told["at"] == "2026-11-24T00:00:00.000Z"
    assert told["gone"][0]["events"] == 1


def test_a_store_that_fails_is_reported_logged_and_tried_again(sqlite: SqliteStore, logged: list[EventDict]) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    worker = LifecycleWorker(Failing(sqlite), Retentions(sqlite.records, "90d"), clock=lambda: DUE)  # type: ignore[arg-type]  # it has what is asked
    report = worker.run_once()
    assert not report.healthy
    assert "The disk is away." in report.errors[0]
    assert "day_not_deleted" in [event["event"] for event in logged]
    assert len(worker.run_once().gone) == 1


def test_a_bug_does_not_end_the_thread(sqlite: SqliteStore) -> None:
    rounds = threading.Semaphore(0)

    def clock() -> datetime:
        rounds.release()
        raise RuntimeError("the clock is broken")

    worker = LifecycleWorker(sqlite, Retentions(sqlite.records, "90d"), clock=clock, interval=0.001)
    worker.start()
    try:
        for _ in range(3):
            assert rounds.acquire(timeout=30)
    finally:
        worker.stop()


def test_stop_ends_the_wait_at_once(sqlite: SqliteStore) -> None:
    began = threading.Event()

    def clock() -> datetime:
        began.set()
        return DUE

    worker = LifecycleWorker(sqlite, Retentions(sqlite.records, "90d"), clock=clock, interval=3600)
    worker.start()
    worker.start()  # harmless
    assert began.wait(30)
    worker.stop(timeout=30)
    assert "lifecycle" not in [thread.name for thread in threading.enumerate()]
    worker.stop()  # harmless too


def test_it_prepares_today_and_tomorrow_for_every_class_in_use(
    sqlite: SqliteStore, client: OpenSearch, retention: str
) -> None:
    now = datetime.now(UTC)
    retentions = Retentions(sqlite.records, retention)
    retentions.set("acme", Retention.parse("forever"))
    worker = LifecycleWorker(sqlite, retentions, DayOpener(client), clock=lambda: now)
    report = worker.run_once()
    today, tomorrow = now.date(), now.date() + timedelta(days=1)
    expected = names(retention, today, tomorrow) + names("forever", today, tomorrow)
    try:
        assert report.errors == ()
        assert sorted(expected) == sorted(report.prepared)
        assert names(retention, today, tomorrow) == sorted(client.indices.get(index=f"audit-{retention}-*"))
    finally:
        client.indices.delete(index=",".join(names("forever", today, tomorrow)))


def test_near_midnight_elsewhere_the_day_is_still_the_utc_one(
    sqlite: SqliteStore, client: OpenSearch, retention: str
) -> None:
    now = datetime.fromisoformat("2026-11-24T01:00:00+02:00")
    report = LifecycleWorker(
        sqlite, Retentions(sqlite.records, retention), DayOpener(client), clock=lambda: now
    ).run_once()
    assert names(retention, date(2026, 11, 23), date(2026, 11, 24)) == list(report.prepared)


def test_an_engine_that_is_away_leaves_a_report_and_deletes_nothing(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    with OpenSearch("http://127.0.0.1:9", max_retries=0, timeout=2) as nobody:
        report = LifecycleWorker(
            sqlite, Retentions(sqlite.records, "90d"), DayOpener(nobody), clock=lambda: DUE
        ).run_once()
    assert report.ism is None
    assert report.gone == ()
    assert report.errors
    assert len(sqlite.days()) == 1


def test_what_is_an_hour_late_is_overdue_and_unhealthy(sqlite: SqliteStore, logged: list[EventDict]) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    late = DUE + timedelta(hours=1)
    stuck = Failing(sqlite, times=99)
    report = LifecycleWorker(stuck, Retentions(sqlite.records, "90d"), clock=lambda: late).run_once()  # type: ignore[arg-type]  # it has what is asked
    assert names("90d", DAY) == list(report.overdue)
    assert not report.healthy
    assert "day_overdue" in [event["event"] for event in logged]


class Failing:
    """A real store whose deletion fails the first times."""

    def __init__(self, store: SqliteStore, times: int = 1) -> None:
        self._store = store
        self._times = times
        self.days = store.days

    def delete_day(self, retention: str, day: date) -> int:
        self._times -= 1
        if self._times >= 0:
            raise StoreUnavailable("The disk is away.")
        return self._store.delete_day(retention, day)
