"""What our code does with ISM's recorded answers: it writes only what must change, and mends what is wrong."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest
from opensearchpy import OpenSearch

from audit.errors import Conflict, StoreUnavailable
from audit.instants import to_ms
from audit.retention import Retention
from lifecycle import setup_apply, setup_plan
from lifecycle.attachment import attach, mend
from lifecycle.days import DayOpener
from lifecycle.ism import Ism
from lifecycle.policies import policy
from lifecycle.standing import standing
from lifecycle.status import status
from lifecycle.worker import LifecycleWorker
from store.names import day_index
from store.retentions import Retentions
from store.sqlite import SqliteStore
from tests.lifecycle.conftest import document, names
from tests.lifecycle.recorded_ism import RecordedIsm

DAY = date(2026, 11, 23)
NAME = day_index("90d", DAY)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def engine() -> RecordedIsm:
    return RecordedIsm()


@pytest.fixture
def client(engine: RecordedIsm) -> OpenSearch:
    return cast("OpenSearch", cast("Any", engine))


def actions(changes: list[Any]) -> list[str]:
    return [change.action for change in changes]


def mended(engine: RecordedIsm, client: OpenSearch) -> list[tuple[str, str]]:
    ism = Ism(client)
    done, failed = mend(ism, standing(client, ism).values())
    assert failed == []
    return [(one.did, one.policy_id) for one in done]


def test_a_plan_changes_nothing(engine: RecordedIsm, client: OpenSearch) -> None:
    assert actions(setup_plan(client, {"90d", "365d", "forever"})) == ["create", "create"]
    assert engine.writes == []


def test_applied_twice_it_writes_once(engine: RecordedIsm, client: OpenSearch) -> None:
    setup_apply(client, {"90d"})
    assert actions(setup_apply(client, {"90d"})) == ["unchanged"]
    assert engine.writes == ["policies/trailkeeper-90d".replace("/", " ")]


def test_where_another_instance_was_first_it_reads_again_and_is_content(
    engine: RecordedIsm, client: OpenSearch
) -> None:
    def another() -> None:
        engine.before_put = lambda: None
        engine.put("trailkeeper-90d", policy(Retention(90)))

    engine.before_put = another
    assert actions(setup_apply(client, {"90d"})) == ["unchanged"]


def test_where_another_wrote_something_else_it_is_mended_over_what_stands_now(
    engine: RecordedIsm, client: OpenSearch
) -> None:
    def another() -> None:
        engine.before_put = lambda: None
        engine.put("trailkeeper-90d", policy(Retention(7)))

    engine.before_put = another
    assert actions(setup_apply(client, {"90d"})) == ["update"]
    assert actions(setup_plan(client, {"90d"})) == ["unchanged"]


def test_where_somebody_keeps_changing_it_it_gives_up_with_a_conflict(engine: RecordedIsm, client: OpenSearch) -> None:
    engine.before_put = lambda: engine.put("trailkeeper-90d", policy(Retention(7)))
    with pytest.raises(Conflict):
        setup_apply(client, {"90d"})


def test_after_an_update_the_indices_on_the_old_version_follow_and_no_others(
    engine: RecordedIsm, client: OpenSearch
) -> None:
    engine.put("trailkeeper-90d", policy(Retention(80)))
    engine.put("somebodys", policy(Retention(5)))
    engine.attach(engine.stands(NAME), "trailkeeper-90d")
    engine.attach(engine.stands(day_index("90d", date(2026, 1, 1))), "somebodys")
    setup_apply(client, {"90d"})
    assert engine.writes[1:] == [f"change_policy {NAME}"]
    setup_apply(client, {"90d"})
    assert engine.writes[2:] == []


def test_a_crash_between_update_and_change_policy_is_mended(engine: RecordedIsm, client: OpenSearch) -> None:
    engine.put("trailkeeper-90d", policy(Retention(80)))
    engine.attach(engine.stands(NAME), "trailkeeper-90d")
    engine.put("trailkeeper-90d", policy(Retention(90)))
    assert mended(engine, client) == [("rolled out", "trailkeeper-90d")]
    assert mended(engine, client) == []


def test_opening_a_day_makes_the_policy_where_there_is_none_and_attaches_it(
    engine: RecordedIsm, client: OpenSearch
) -> None:
    DayOpener(client).open("365d", DAY)
    assert engine.attached == {day_index("365d", DAY): ("trailkeeper-365d", 1)}


def test_opening_a_day_leaves_a_policy_that_stands_as_it_is(engine: RecordedIsm, client: OpenSearch) -> None:
    engine.put("trailkeeper-90d", policy(Retention(80)))
    DayOpener(client).open("90d", DAY)
    assert engine.writes == [f"add {NAME}"]


def test_opening_forever_attaches_nothing(engine: RecordedIsm, client: OpenSearch) -> None:
    DayOpener(client).open("forever", DAY)
    assert engine.writes == []


def test_an_index_that_has_its_policy_already_is_no_error(engine: RecordedIsm, client: OpenSearch) -> None:
    DayOpener(client).open("90d", DAY)
    DayOpener(client).open("90d", DAY)
    assert not attach(Ism(client), NAME, "trailkeeper-90d")


def test_two_hundred_with_nothing_done_is_an_error(engine: RecordedIsm, client: OpenSearch) -> None:
    with pytest.raises(StoreUnavailable, match="no such index"):
        attach(Ism(client), NAME, "trailkeeper-90d")


def test_an_unattached_index_is_attached_and_then_left_alone(engine: RecordedIsm, client: OpenSearch) -> None:
    engine.stands(NAME)
    engine.stands(day_index("forever", DAY))
    assert mended(engine, client) == [("attached", "trailkeeper-90d")]
    assert mended(engine, client) == []


def test_a_policy_of_ours_that_would_be_early_is_changed(engine: RecordedIsm, client: OpenSearch) -> None:
    engine.put("trailkeeper-90d", policy(Retention(90)))
    engine.attach(engine.stands(NAME, to_ms(NOON)), "trailkeeper-90d")
    assert mended(engine, client) == [("changed", "trailkeeper-90d-undated")]


def test_a_policy_of_ours_on_what_is_kept_for_good_is_removed(engine: RecordedIsm, client: OpenSearch) -> None:
    engine.put("trailkeeper-90d", policy(Retention(90)))
    engine.attach(engine.stands(day_index("forever", DAY)), "trailkeeper-90d")
    assert mended(engine, client) == [("removed", "trailkeeper-90d")]
    assert engine.attached == {}


def test_somebody_elses_policy_stays_and_is_drift(engine: RecordedIsm, client: OpenSearch, sqlite: SqliteStore) -> None:
    engine.attach(engine.stands(NAME), "somebodys")
    assert mended(engine, client) == []
    found = status(sqlite, Retentions(sqlite.records, "90d"), DayOpener(client), NOON)
    assert any("not Trailkeeper's" in sentence for sentence in found.drift)


def test_after_setup_and_one_round_nothing_is_left_to_mend(
    engine: RecordedIsm, client: OpenSearch, sqlite: SqliteStore
) -> None:
    retentions, opener = Retentions(sqlite.records, "90d"), DayOpener(client)
    before = status(sqlite, retentions, opener, NOON).drift
    assert any("policy trailkeeper-90d is missing" in sentence for sentence in before)
    setup_apply(client, retentions.classes())
    report = LifecycleWorker(sqlite, retentions, opener, clock=lambda: NOON).run_once()
    assert report.healthy
    assert report.ism
    found = status(sqlite, retentions, opener, NOON)
    assert found.drift == ()
    assert [(day.name, day.attachment) for day in found.days] == [
        (name, "attached") for name in names("90d", DAY, DAY + timedelta(days=1))
    ]


def test_where_ism_deletes_the_worker_only_watches(
    engine: RecordedIsm, client: OpenSearch, sqlite: SqliteStore
) -> None:
    old = DAY - timedelta(days=100)
    sqlite.write([document("acme", "90d", old)])
    engine.stands(day_index("90d", old))
    retentions, opener = Retentions(sqlite.records, "90d"), DayOpener(client)
    report = LifecycleWorker(sqlite, retentions, opener, clock=lambda: NOON).run_once()
    assert report.gone == ()
    assert list(report.overdue) == names("90d", old)
    assert not report.healthy
    told_to = LifecycleWorker(sqlite, retentions, opener, clock=lambda: NOON, act=True).run_once()
    assert [gone.name for gone in told_to.gone] == names("90d", old)


@pytest.mark.parametrize("off", [timedelta(days=-1), timedelta(days=30)])
def test_what_ism_would_delete_late_the_worker_deletes_on_its_day(
    engine: RecordedIsm, client: OpenSearch, sqlite: SqliteStore, off: timedelta
) -> None:
    old = DAY - timedelta(days=91)
    sqlite.write([document("acme", "90d", old)])
    end = datetime(old.year, old.month, old.day, tzinfo=UTC) + timedelta(days=1)
    engine.stands(day_index("90d", old), to_ms(end + off))
    report = LifecycleWorker(
        sqlite, Retentions(sqlite.records, "90d"), DayOpener(client), clock=lambda: NOON
    ).run_once()
    assert [gone.name for gone in report.gone] == names("90d", old)


def test_policies_for_undated_indices_are_set_up_only_where_they_are_in_use(
    engine: RecordedIsm, client: OpenSearch
) -> None:
    assert [change.name for change in setup_apply(client, {"90d"})] == ["trailkeeper-90d"]
    engine.put("trailkeeper-90d-undated", policy(Retention(1)))
    assert [(change.name, change.action) for change in setup_apply(client, {"90d"})] == [
        ("trailkeeper-90d", "unchanged"),
        ("trailkeeper-90d-undated", "update"),
    ]
