"""Status tells what stands and what is not as it should be, and changes nothing."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from opensearchpy import OpenSearch

from lifecycle.days import DayOpener
from lifecycle.ism import Managed
from lifecycle.standing import DayIndex
from lifecycle.status import Attachment, _attachment, status
from lifecycle.worker import LifecycleWorker
from store.names import day_index
from store.retentions import Retentions
from store.sqlite import SqliteStore
from tests.lifecycle.conftest import document, midnight_after, names

DAY = date(2026, 8, 25)
DUE = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("late", "state", "says", "age"),
    [
        (timedelta(days=-100), "kept", "kept until 2026-11-24", -10),
        (timedelta(milliseconds=-1), "kept", "kept until 2026-11-24", 89),
        (timedelta(0), "due", "due", 90),
        (timedelta(minutes=59), "due", "due", 90),
        (timedelta(hours=3), "overdue", "overdue by 3 h", 90),
        (timedelta(days=3), "overdue", "overdue by 3 days", 93),
    ],
)
def test_a_day_is_kept_then_due_then_overdue(
    sqlite: SqliteStore, late: timedelta, state: str, says: str, age: int
) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    (day,) = status(sqlite, Retentions(sqlite.records, "90d"), None, DUE + late).days
    assert (day.state, day.says, day.age_days, day.due) == (state, says, age, DUE)


def test_forever_is_kept_for_good(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "forever", DAY)])
    (day,) = status(sqlite, Retentions(sqlite.records, "90d"), None, DUE).days
    assert (day.says, day.due) == ("kept for good", None)


def test_on_sqlite_there_is_no_question_of_policies(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    found = status(sqlite, Retentions(sqlite.records, "90d"), None, DUE - timedelta(days=1))
    assert (found.ism, found.drift) == (None, ())
    assert (found.days[0].attachment, found.days[0].policy, found.days[0].created_right) == ("no ISM", None, None)


def test_an_overdue_day_is_drift(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    found = status(sqlite, Retentions(sqlite.records, "90d"), None, DUE + timedelta(hours=2))
    assert found.drift == (f"{day_index('90d', DAY)}: overdue by 2 h.",)


def test_it_can_be_written_as_json(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    told = json.loads(json.dumps(status(sqlite, Retentions(sqlite.records, "90d"), None, DUE).as_dict()))
    assert told["days"][0]["name"] == "audit-90d-2026.08.25"
    assert told["days"][0]["due"] == "2026-11-24T00:00:00.000Z"


def test_days_that_are_not_prepared_are_drift_until_the_worker_has_run(
    sqlite: SqliteStore, client: OpenSearch, retention: str
) -> None:
    now = datetime.now(UTC)
    retentions, opener = Retentions(sqlite.records, retention), DayOpener(client)
    expected = names(retention, now.date(), now.date() + timedelta(days=1))

    def missing() -> list[str]:
        drift = status(sqlite, retentions, opener, now).drift
        return [name for name in expected if any(name in sentence for sentence in drift if "no index" in sentence)]

    assert expected == missing()
    LifecycleWorker(sqlite, retentions, opener, clock=lambda: now).run_once()
    assert missing() == []


def test_an_index_without_its_creation_date_is_drift(sqlite: SqliteStore, client: OpenSearch, retention: str) -> None:
    now = datetime.now(UTC)
    name = day_index(retention, now.date())
    client.indices.create(index=name)
    found = status(sqlite, Retentions(sqlite.records, retention), DayOpener(client), now)
    (day,) = (day for day in found.days if day.name == name)
    assert day.created_right is False
    assert any("not at the end of its day" in sentence for sentence in day.drift)
    assert set(day.drift) <= set(found.drift)


def test_an_index_with_its_creation_date_is_right(sqlite: SqliteStore, client: OpenSearch, retention: str) -> None:
    now = datetime.now(UTC)
    opener = DayOpener(client)
    opener.open(retention, now.date())
    found = status(sqlite, Retentions(sqlite.records, retention), opener, now)
    (day,) = (day for day in found.days if day.name == day_index(retention, now.date()))
    assert day.created_right is True


RIGHT = "trailkeeper-90d"


@pytest.mark.parametrize(
    ("managed", "expected"),
    [
        (None, "missing"),
        (Managed("i", None), "missing"),
        (Managed("i", RIGHT, enabled=True), "attached"),
        (Managed("i", RIGHT, enabled=True, failed=True), "failed"),
        (Managed("i", RIGHT, enabled=False), "failed"),
        (Managed("i", "trailkeeper-30d", enabled=True), "wrong"),
        (Managed("i", "somebodys", enabled=True), "foreign"),
    ],
)
def test_what_ism_says_of_an_index_is_judged(managed: Managed | None, expected: Attachment) -> None:
    index = DayIndex(day_index("90d", DAY), "90d", DAY, midnight_after(DAY), managed)
    assert expected == _attachment(index, set())


def test_an_index_on_an_older_version_of_its_policy_is_outdated() -> None:
    managed = Managed("i", RIGHT, enabled=True, policy_seq_no=0)
    index = DayIndex("i", "90d", DAY, midnight_after(DAY), managed)
    assert _attachment(index, {"i"}) == "outdated"


def test_forever_needs_no_policy_and_one_of_ours_on_it_is_wrong() -> None:
    index = DayIndex("i", "forever", DAY, midnight_after(DAY), Managed("i", None))
    assert _attachment(index, set()) == "not needed"
    index = DayIndex("i", "forever", DAY, midnight_after(DAY), Managed("i", RIGHT))
    assert _attachment(index, set()) == "wrong"
