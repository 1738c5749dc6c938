"""Keys and retentions as last read: a change is seen in time, and a store that is away or hangs stops nobody."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from audit.errors import StoreUnavailable
from store.protocol import Record
from store.remembered import RememberedRecords

KIND = "key"


class Records:
    """Records that count how often they are read, and can be away or hang."""

    def __init__(self) -> None:
        self.bodies: dict[str, Mapping[str, Any]] = {"one": {"n": 1}}
        self.readings = 0
        self.away = False
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def list(self, kind: str) -> Sequence[Record]:
        self.readings += 1
        self.asked.set()
        assert self.go_on.wait(10)
        if self.away:
            raise StoreUnavailable("It is away.")
        return [Record(id, body, "1") for id, body in self.bodies.items()]

    def get(self, kind: str, id: str) -> Record | None:
        raise NotImplementedError

    def put(self, kind: str, id: str, body: Mapping[str, Any], *, version: str | None) -> Record:
        raise NotImplementedError

    def delete(self, kind: str, id: str) -> None:
        raise NotImplementedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remembered(records: Records, clock: Clock) -> RememberedRecords:
    return RememberedRecords(records, ttl=4, clock=clock)


def test_what_was_read_serves_for_its_time_and_is_read_again_then(
    remembered: RememberedRecords, records: Records, clock: Clock
) -> None:
    remembered.all(KIND)
    records.bodies["two"] = {"n": 2}
    clock.now = 3.9
    assert set(remembered.all(KIND)) == {"one"}
    clock.now = 4.0
    assert set(remembered.all(KIND)) == {"one", "two"}
    assert records.readings == 2


def test_a_store_that_is_away_is_asked_once_in_that_time(
    remembered: RememberedRecords, records: Records, clock: Clock
) -> None:
    remembered.all(KIND)
    records.away, clock.now = True, 4.0
    assert remembered.all(KIND) == remembered.all(KIND) == {"one": {"n": 1}}
    assert records.readings == 2


def test_a_store_that_was_never_there_is_an_error(remembered: RememberedRecords, records: Records) -> None:
    records.away = True
    with pytest.raises(StoreUnavailable):
        remembered.all(KIND)


def test_a_store_that_hangs_holds_up_one_caller_alone(
    remembered: RememberedRecords, records: Records, clock: Clock
) -> None:
    remembered.all(KIND)
    clock.now = 4.0
    records.asked.clear()
    records.go_on.clear()
    with ThreadPoolExecutor(1) as other:
        held_up = other.submit(remembered.all, KIND)
        assert records.asked.wait(10)
        assert remembered.all(KIND) == {"one": {"n": 1}}
        assert not held_up.done()
        records.go_on.set()
        assert held_up.result(10) == {"one": {"n": 1}}


def test_who_waits_for_the_newest_takes_what_another_has_just_read(
    remembered: RememberedRecords, records: Records, clock: Clock
) -> None:
    remembered.all(KIND)
    clock.now = 4.0
    records.bodies["two"] = {"n": 2}
    records.asked.clear()
    records.go_on.clear()
    with ThreadPoolExecutor(2) as others:
        first = others.submit(remembered.all, KIND)
        assert records.asked.wait(10)
        second = others.submit(remembered.all, KIND, max_age=1, wait=True)
        records.go_on.set()
        assert set(first.result(10)) == set(second.result(10)) == {"one", "two"}
    assert records.readings == 2


def test_after_a_restart_the_file_serves_while_the_store_is_away(
    records: Records, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "spool.records.json"
    RememberedRecords(records, file=file, clock=clock).all(KIND)
    records.away = True
    assert RememberedRecords(records, file=file, clock=clock).all(KIND) == {"one": {"n": 1}}
    assert file.stat().st_mode & 0o777 == 0o600
