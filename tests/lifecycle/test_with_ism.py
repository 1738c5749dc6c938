"""On a node that has ISM: policies are brought, attached and followed. Skips, with the reason, on one that has none.

What it is written against is what a real ISM answered (OpenSearch 3.6.0 with index-management 3.6.0.0). Deletion itself
takes three job runs, minutes each; that an index is on its way to it is what `explain` shows.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from opensearchpy import OpenSearch

from audit.errors import Conflict
from audit.retention import Retention
from lifecycle import setup_apply, setup_plan
from lifecycle.days import DayOpener
from lifecycle.ism import Ism
from lifecycle.policies import policy, policy_id
from lifecycle.status import status
from lifecycle.worker import LifecycleWorker
from store.names import day_index
from store.retentions import Retentions
from store.sqlite import SqliteStore

pytestmark = pytest.mark.usefixtures("ism")
TODAY = datetime.now(UTC).date()


@pytest.fixture
def manager(client: OpenSearch, retention: str) -> Iterator[Ism]:
    yield Ism(client)
    for name in (f"trailkeeper-{retention}", f"trailkeeper-{retention}-undated"):
        client.transport.perform_request("DELETE", f"/_plugins/_ism/policies/{name}", ignore=(404,))


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what ISM does in its own time: `explain` lags about a second behind, jobs run by the minute."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_it_is_there(manager: Ism) -> None:
    assert manager.available()


def test_what_was_planned_is_applied_and_then_unchanged(client: OpenSearch, manager: Ism, retention: str) -> None:
    classes = {retention, "forever"}
    assert [change.action for change in setup_plan(client, classes)] == ["create"]
    assert [change.action for change in setup_apply(client, classes)] == ["create"]
    assert [change.action for change in setup_plan(client, classes)] == ["unchanged"]
    before = manager.policy(f"trailkeeper-{retention}")
    setup_apply(client, classes)
    assert before == manager.policy(f"trailkeeper-{retention}")


def test_a_policy_that_somebody_changed_is_shown_and_mended(client: OpenSearch, manager: Ism, retention: str) -> None:
    setup_apply(client, {retention})
    changed = policy(Retention(1))
    name = str(policy_id(Retention.parse(retention)))
    manager.put_policy(name, changed, over=manager.policy(name))
    (change,) = setup_plan(client, {retention})
    assert change.action == "update"
    assert f'+            "min_index_age": "{retention}"' in change.diff
    setup_apply(client, {retention})
    assert [change.action for change in setup_plan(client, {retention})] == ["unchanged"]


def test_a_write_over_another_version_is_a_conflict(manager: Ism, retention: str) -> None:
    name = f"trailkeeper-{retention}"
    manager.put_policy(name, policy(Retention(1)), over=None)
    old = manager.policy(name)
    manager.put_policy(name, policy(Retention(2)), over=old)
    for over in (old, None):
        with pytest.raises(Conflict):
            manager.put_policy(name, policy(Retention(3)), over=over)


def test_applied_by_several_at_once_all_succeed(client: OpenSearch, manager: Ism, retention: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: setup_apply(client, {retention}), range(8)))
    assert [change.action for change in setup_plan(client, {retention})] == ["unchanged"]


@pytest.mark.parametrize("offset", [-19_000, -91, 0, 1])
def test_an_index_is_attached_when_it_is_opened_however_old_its_day(
    client: OpenSearch, manager: Ism, retention: str, offset: int
) -> None:
    day = TODAY + timedelta(days=offset)
    DayOpener(client, manager).open(retention, day)
    name = day_index(retention, day)
    until(lambda: manager.explain(name)[name].policy_id == f"trailkeeper-{retention}")


def test_opened_at_once_from_many_threads_it_is_attached(client: OpenSearch, manager: Ism, retention: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: DayOpener(client, manager).open(retention, TODAY), range(8)))
    name = day_index(retention, TODAY)
    until(lambda: manager.explain(name)[name].policy_id == f"trailkeeper-{retention}")


def test_an_index_without_its_creation_date_gets_the_later_policy(
    client: OpenSearch, manager: Ism, retention: str
) -> None:
    name = day_index(retention, TODAY)
    client.indices.create(index=name)
    DayOpener(client, manager).open(retention, TODAY)
    until(lambda: manager.explain(name)[name].policy_id == f"trailkeeper-{retention}-undated")


def test_what_a_crash_left_unattached_the_worker_attaches(
    client: OpenSearch, manager: Ism, retention: str, sqlite: SqliteStore
) -> None:
    class Crashing(Ism):
        def available(self) -> bool:
            return False

    DayOpener(client, Crashing(client)).open(retention, TODAY)
    name = day_index(retention, TODAY)
    assert manager.explain(name)[name].policy_id is None
    retentions = Retentions(sqlite.records, retention)
    report = LifecycleWorker(sqlite, retentions, DayOpener(client, manager)).run_once()
    assert report.errors == ()
    until(lambda: manager.explain(name)[name].policy_id == f"trailkeeper-{retention}")
    found = {day.name: day for day in status(sqlite, retentions, DayOpener(client), datetime.now(UTC)).days}
    assert found[name].attachment == "attached"


def test_attached_twice_the_first_stays_and_the_answer_says_so(
    client: OpenSearch, manager: Ism, retention: str
) -> None:
    DayOpener(client, manager).open(retention, TODAY)
    name = day_index(retention, TODAY)
    assert "already has a policy" in manager.add(name, f"trailkeeper-{retention}").failures[name]


def test_nothing_matched_is_nothing_changed_and_no_error(manager: Ism, retention: str, client: OpenSearch) -> None:
    setup_apply(client, {retention})
    assert manager.add(f"audit-{retention}-1970*", f"trailkeeper-{retention}") == (0, {})
    assert manager.explain(f"audit-{retention}-1970*") == {}
    assert manager.explain(f"audit-{retention}-1970.01.01") == {}


def test_forever_is_never_attached(client: OpenSearch, manager: Ism) -> None:
    day = TODAY + timedelta(days=5000)
    name = day_index("forever", day)
    try:
        DayOpener(client, manager).open("forever", day)
        assert manager.explain(name)[name].policy_id is None
    finally:
        client.indices.delete(index=name)


@pytest.fixture
def every_minute(client: OpenSearch) -> Iterator[None]:
    """Have ISM's jobs run every minute; jobs made from now on take it."""
    setting = "plugins.index_state_management"

    def put(interval: int | None, jitter: float | None) -> None:
        client.cluster.put_settings(
            body={"persistent": {f"{setting}.job_interval": interval, f"{setting}.jitter": jitter}}
        )

    put(1, 0.0)
    yield
    put(None, None)


@pytest.mark.usefixtures("every_minute")
def test_after_setup_mends_a_policy_the_day_that_is_due_goes_and_the_next_stays(
    client: OpenSearch, sqlite: SqliteStore
) -> None:
    """Some minutes: three job runs from attachment to deletion (180 s observed), and one for the change of policy."""
    manager = Ism(client)
    gone, kept = TODAY - timedelta(days=3), TODAY - timedelta(days=1)
    opener = DayOpener(client, manager)
    standing = manager.policy("trailkeeper-2d")
    manager.put_policy("trailkeeper-2d", policy(Retention(500)), over=standing)
    try:
        for day in (gone, kept):
            opener.open("2d", day)
        first = day_index("2d", gone)
        until(lambda: manager.explain(first)[first].policy_seq_no is not None, seconds=240)
        setup_apply(client, {"2d"})
        until(lambda: not client.indices.exists(index=first), seconds=420)
        assert client.indices.exists(index=day_index("2d", kept))
    finally:
        for index in client.indices.get(index="audit-2d-*"):
            client.indices.delete(index=index)
        client.transport.perform_request("DELETE", "/_plugins/_ism/policies/trailkeeper-2d", ignore=(404,))
