"""The reaper deletes a day when it is due and not a millisecond before, and nothing else."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import StoreUnavailable
from audit.retention import Retention
from lifecycle.reaper import due, overdue, reap
from store.protocol import DayPartition, Store
from store.sqlite import SqliteStore
from tests.lifecycle.conftest import document, names

DAY = date(2026, 8, 25)
DUE = datetime(2026, 11, 24, tzinfo=UTC)
"""90 days after the end of DAY."""
MILLISECOND = timedelta(milliseconds=1)


class Held:
    """A store of nothing but days: the reaper needs no more of one."""

    def __init__(self, days: Sequence[DayPartition], broken: str | None = None) -> None:
        self.held = list(days)
        self.broken = broken

    def days(self) -> Sequence[DayPartition]:
        return list(self.held)

    def delete_day(self, retention: str, day: date) -> int:
        if retention == self.broken:
            raise StoreUnavailable("The disk is away.")
        (found,) = [one for one in self.held if (one.retention, one.day) == (retention, day)]
        self.held.remove(found)
        return found.events


def held(*days: tuple[str, date], broken: str | None = None) -> tuple[Held, Store]:
    store = Held([DayPartition(one, day, 3, None, f"audit-{one}-{day:%Y.%m.%d}") for one, day in days], broken)
    return store, cast("Store", cast("Any", store))


def test_one_millisecond_before_it_is_due_a_day_stays(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    assert reap(sqlite, DUE - MILLISECOND).gone == ()
    assert names("90d", DAY) == [day.name for day in sqlite.days()]


def test_at_the_instant_it_is_due_a_day_goes(sqlite: SqliteStore) -> None:
    last_of_the_day = time(23, 59, 59, 999_000)
    sqlite.write([document("acme", "90d", DAY), document("acme", "90d", DAY, last_of_the_day)])
    (gone,) = reap(sqlite, DUE).gone
    assert (gone.retention, gone.day, gone.due, gone.events) == ("90d", DAY, DUE, 2)
    assert list(sqlite.days()) == []


def test_only_days_and_classes_that_are_due_go(sqlite: SqliteStore) -> None:
    sqlite.write(
        [
            document("acme", "90d", DAY),
            document("acme", "90d", DAY + timedelta(days=1)),
            document("other", "365d", DAY),
            document("held", "forever", DAY),
        ]
    )
    assert [gone.retention for gone in reap(sqlite, DUE).gone] == ["90d"]
    assert names("365d", DAY) + names("forever", DAY) + names("90d", DAY + timedelta(days=1)) == [
        day.name for day in sqlite.days()
    ]


def test_a_backfilled_day_goes_by_its_own_date_and_not_by_when_it_came(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", date(2020, 1, 1))])
    assert reap(sqlite, DUE).gone[0].events == 1


def test_done_again_there_is_nothing_left_to_do(sqlite: SqliteStore) -> None:
    sqlite.write([document("acme", "90d", DAY)])
    reap(sqlite, DUE)
    assert reap(sqlite, DUE).gone == ()


def test_progress_is_told_day_by_day() -> None:
    _, store = held(("90d", DAY), ("90d", DAY - timedelta(days=1)), ("365d", DAY))
    told: list[tuple[int, int]] = []
    reap(store, DUE, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_day_that_fails_holds_up_no_other() -> None:
    days, store = held(("30d", DAY), ("90d", DAY), broken="30d")
    reaping = reap(store, DUE)
    assert [gone.retention for gone in reaping.gone] == ["90d"]
    assert [day.retention for day in days.held] == ["30d"]
    assert "The disk is away." in reaping.failed[0]


def test_what_is_left_out_stays() -> None:
    days, store = held(("30d", DAY), ("90d", DAY))
    reap(store, DUE, only=lambda day: day.retention != "30d")
    assert [day.retention for day in days.held] == ["30d"]


@pytest.mark.parametrize("retention", ["forever", "hold", "0d", "90", ""])
def test_a_class_that_is_no_length_of_time_is_never_due(retention: str) -> None:
    _, store = held((retention, date(1970, 1, 1)))
    assert due(store, datetime(9999, 1, 1, tzinfo=UTC)) == []


def test_a_day_is_overdue_an_hour_after_it_was_due() -> None:
    _, store = held(("90d", DAY))
    assert overdue(store, DUE + timedelta(hours=1) - MILLISECOND) == []
    assert [day.day for day in overdue(store, DUE + timedelta(hours=1))] == [DAY]


days = st.dates(date(1990, 1, 1), date(2100, 12, 31))
classes = st.one_of(st.just("forever"), st.integers(1, 36_500).map("{}d".format))
instants = st.datetimes(datetime(1990, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 Hypothesis adds the zone


@given(st.lists(st.tuples(classes, days), unique=True, max_size=20), instants, st.data())
def test_whatever_is_held_a_day_goes_exactly_when_it_is_due(
    what: list[tuple[str, date]], now: datetime, data: st.DataObject
) -> None:
    if what:  # near the boundary, where it matters, as often as anywhere
        retention, day = data.draw(st.sampled_from(what))
        until = Retention.parse(retention).due(day)
        near = st.timedeltas(timedelta(seconds=-1), timedelta(seconds=1))
        if until is not None and data.draw(st.booleans()):
            now = until + data.draw(near)
    store, protocol = held(*what)
    reap(protocol, now)
    left = {(one.retention, one.day) for one in store.held}
    for retention, day in what:
        length = Retention.parse(retention).days
        # Said independently of Retention.due: the day's last millisecond is the class's length and one more old.
        end = datetime.combine(day, time(), UTC) + timedelta(days=1)
        stays = length is None or now - end < timedelta(days=length)
        assert stays == ((retention, day) in left)
