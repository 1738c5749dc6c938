"""Without ISM the reaper deletes OpenSearch's days as it does SQLite's: by the date in the index's name."""

from datetime import UTC, date, datetime, timedelta

import pytest
from opensearchpy import OpenSearch

from index_templates import loader as templates
from lifecycle.days import DayOpener
from lifecycle.reaper import reap
from lifecycle.status import status
from lifecycle.worker import LifecycleWorker
from store.opensearch import OpenSearchStore
from store.protocol import DayPartition, Outcome
from store.retentions import Retentions
from store.sqlite import SqliteStore
from tests.lifecycle.conftest import document, midnight_after, names

MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
def opener(client: OpenSearch) -> DayOpener:
    return DayOpener(client)


@pytest.fixture
def store(client: OpenSearch, opener: DayOpener) -> OpenSearchStore:
    templates.prepare(client, "0-1")  # a write goes through the alias that a day's index has from the template
    store = OpenSearchStore(client, open_day=opener.open, forget_day=opener.forget)
    store.prepare()
    return store


def due(retention: str, day: date) -> datetime:
    return midnight_after(day) + timedelta(days=int(retention.removesuffix("d")))


def held(store: OpenSearchStore, retention: str) -> list[str]:
    return [day.name for day in store.days() if day.retention == retention]


def test_an_event_is_written_into_the_index_that_was_opened_for_it(store: OpenSearchStore, retention: str) -> None:
    day = date(2026, 8, 25)
    (written,) = store.write([document("acme", retention, day)])
    assert written.outcome is Outcome.CREATED
    assert held(store, retention) == names(retention, day)
    assert DayOpener(store.client).standing()[names(retention, day)[0]].dated


def test_a_day_stays_until_the_millisecond_it_is_due_and_goes_then(store: OpenSearchStore, retention: str) -> None:
    day, next_day = date(2026, 8, 25), date(2026, 8, 26)
    store.write([document("acme", retention, day), document("acme", retention, next_day)], searchable=True)

    def ours(one: DayPartition) -> bool:
        return one.retention == retention

    until = due(retention, day)
    assert reap(store, until - MILLISECOND, only=ours).gone == ()
    assert held(store, retention) == names(retention, day, next_day)
    (gone,) = reap(store, until, only=ours).gone
    assert (gone.day, gone.events) == (day, 1)
    assert held(store, retention) == names(retention, next_day)


def test_a_day_that_was_deleted_is_opened_rightly_for_an_event_that_comes_after_all(
    store: OpenSearchStore, opener: DayOpener, retention: str
) -> None:
    day = date(2026, 8, 25)
    store.write([document("acme", retention, day)])
    reap(store, due(retention, day), only=lambda one: one.retention == retention)
    (written,) = store.write([document("acme", retention, day)])
    assert written.outcome is Outcome.CREATED
    assert opener.standing()[names(retention, day)[0]].dated


def test_the_worker_deletes_what_is_due_where_there_is_no_ism(
    store: OpenSearchStore, opener: DayOpener, sqlite: SqliteStore, client: OpenSearch
) -> None:
    if opener.ism.available():
        pytest.skip("this node has ISM, which deletes itself; test_with_ism.py is for it")
    now = datetime.now(UTC)
    gone, kept = now.date() - timedelta(days=2), now.date() - timedelta(days=1)
    try:
        store.write([document("acme", "1d", gone), document("acme", "1d", kept)])
        report = LifecycleWorker(store, Retentions(sqlite.records, "1d"), opener, clock=lambda: now).run_once()
        assert report.errors == ()
        assert report.ism is False
        assert names("1d", gone) == [one.name for one in report.gone if one.retention == "1d"]
        today, tomorrow = now.date(), now.date() + timedelta(days=1)
        assert held(store, "1d") == names("1d", kept, today, tomorrow)
    finally:
        for index in client.indices.get(index="audit-1d-*"):
            client.indices.delete(index=index)


def test_status_tells_events_and_bytes_of_each_index(
    store: OpenSearchStore, opener: DayOpener, sqlite: SqliteStore, retention: str
) -> None:
    now = datetime.now(UTC)
    store.write([document("acme", retention, now.date())], searchable=True)
    found = status(store, Retentions(sqlite.records, retention), opener, now)
    (day,) = (day for day in found.days if day.retention == retention)
    assert (day.events, day.created_right, day.age_days, day.state) == (1, True, -1, "kept")
    assert day.bytes
    assert day.says == f"kept until {due(retention, now.date()):%Y-%m-%d}"
