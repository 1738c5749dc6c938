"""The embedded log: numbered without a gap, and still there after whatever happens to the process or the disk."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import apsw
import orjson
import pytest

from audit.errors import StoreUnavailable
from audit.query import Query
from store.protocol import Outcome
from store.sqlite import SqliteStore
from tests.store.trail import NOON, RECEIVED, an_event, an_organization, candidate, walk

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trail.sqlite"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(file)
    yield store
    store.close()


def appender(file: Path, organization: str, calls: int, batch: int, *more: int) -> "subprocess.Popen[str]":
    arguments = [str(each) for each in (file, organization, calls, batch, *more)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.appender", *arguments], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )


def numbers(file: Path) -> list[int]:
    connection = apsw.Connection(str(file))
    found = [
        orjson.loads(body)["log"]["index"] for (body,) in connection.execute("SELECT body FROM events ORDER BY seq")
    ]
    connection.close()
    return found


def test_an_appended_event_carries_its_stamp(store: SqliteStore) -> None:
    event = candidate(an_event("acme"))
    assert store.append([event]) == [(Outcome.CREATED, 0)]
    assert orjson.loads(store.get(Query(organization_id="acme"), event.id) or b"") == orjson.loads(event.normal) | {
        "received_at": RECEIVED,
        "log": {"id": store.log_id, "index": 0},
    }


def test_numbers_go_on_where_they_ended(file: Path) -> None:
    with_name = None
    for expected in range(3):
        store = SqliteStore(file)
        assert store.log_id == (with_name or store.log_id)
        with_name = store.log_id
        assert store.append([candidate(an_event("acme"))]) == [(Outcome.CREATED, expected)]
        store.close()
    named = SqliteStore(file, log_id="second")
    assert named.append([candidate(an_event("acme"))]) == [(Outcome.CREATED, 0)]
    assert named.log_id == "second"
    named.close()


def test_duplicates_and_conflicts_take_no_number(store: SqliteStore) -> None:
    old, new, newer = (an_event("acme") for _ in range(3))
    store.append([candidate(old)])
    results = store.append(
        [
            candidate(new),
            candidate(old),
            candidate(old | {"source": "else"}),
            candidate(new),
            candidate(new | {"source": "else"}),
            candidate(newer),
        ]
    )
    assert results == [
        (Outcome.CREATED, 1),
        (Outcome.DUPLICATE, None),
        (Outcome.CONFLICT, None),
        (Outcome.DUPLICATE, None),
        (Outcome.CONFLICT, None),
        (Outcome.CREATED, 2),
    ]
    assert store.append([candidate(old), candidate(new)]) == [(Outcome.DUPLICATE, None)] * 2
    assert store.append([]) == []


def test_a_conflict_leaves_nobody_behind(store: SqliteStore) -> None:
    """The actor of an event that was not stored is not stored either."""
    event = an_event("acme")
    store.append([candidate(event)])
    store.append([candidate(event | {"actor": {"type": "user", "id": "u_9", "email": "secret@example.com"}})])
    assert b"secret" not in store.path.read_bytes() + store.path.with_name(store.path.name + "-wal").read_bytes()


def test_eight_threads_number_without_a_gap(store: SqliteStore, file: Path) -> None:
    def append(thread: int) -> list[int | None]:
        batches = ([candidate(an_event(f"org_{thread}")) for _ in range(5)] for _ in range(20))
        return [result.number for batch in batches for result in store.append(batch)]

    with ThreadPoolExecutor(8) as pool:
        given = [number for each in pool.map(append, range(8)) for number in each]
    assert sorted(number for number in given if number is not None) == list(range(800))
    assert numbers(file) == list(range(800))


def test_two_processes_share_a_file(store: SqliteStore, file: Path) -> None:
    """A server and a command line, or two servers by mistake: one numbering, nothing lost."""
    processes = [appender(file, "acme", 40, 5), appender(file, "other", 40, 5)]
    mine = [number for _ in range(40) for _, number in store.append([candidate(an_event("mine"))])]
    lines = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    said = [line for each in lines for line in each]
    assert len(said) == 400
    assert len(set(mine)) == 40
    assert numbers(file) == list(range(440))
    assert [store.count(Query(organization_id=each)) for each in ("acme", "other", "mine")] == [200, 200, 40]


def test_what_another_process_deletes_is_not_written_to(store: SqliteStore, file: Path) -> None:
    """Interned rows that another process removed, and whose numbers it gave away, are looked up anew."""
    other = SqliteStore(file)
    store.append([candidate(an_event("acme"))])
    assert other.delete_day("90d", _day(store)) == 1
    other.append([candidate(an_event("acme", actor={"type": "system"}, action="project.update"))])
    event = candidate(an_event("acme"))
    store.append([event])
    for fields in ({"actors": ("u_1",)}, {"actions": ("api_key.create",)}):
        query = Query.model_validate({"organization_id": "acme", **fields})
        assert [orjson.loads(body)["id"] for body in walk(store, query, 5)] == [event.id]
    other.close()


def test_kill_9_loses_nothing_that_was_acknowledged(file: Path) -> None:
    organization = an_organization()
    acknowledged: set[str] = set()
    for round_ in range(4):
        process = appender(file, organization, 10_000, 7)
        assert process.stdout is not None
        for _ in range(40 + 61 * round_):
            acknowledged.add(process.stdout.readline().strip())
        process.kill()
        # The rest of what it had said before it died; a line cut short says nothing.
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.stdout.close()
        process.wait()
    store = SqliteStore(file)
    found = [orjson.loads(body)["id"] for body in walk(store, Query(organization_id=organization), 1000)]
    store.close()
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert numbers(file) == list(range(len(found)))


def test_a_full_disk_refuses_the_whole_call_and_nothing_else(file: Path) -> None:
    process = appender(file, "acme", 60, 20, 600_000)
    said = (process.communicate()[0] or "").splitlines()
    assert process.returncode == 0
    full = [line.split() for line in said if line.startswith("full")]
    assert len(full) == 1, said[-3:]
    _, readable, status = full[0]
    assert int(readable) % 20 == 0
    assert status == "507"
    assert numbers(file) == list(range(1200))


def test_a_failed_sync_is_said_and_nothing_more_is_acknowledged(file: Path) -> None:
    """After it nobody knows what the disk holds; reads stay up, and a restart recovers what was acknowledged."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.store.failing_sync", str(file)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    before, at, after, check, readable = said
    assert before == "appended"
    assert "could not sync" in at
    assert "nothing more is written" in after
    assert check.startswith("check: A sync of")
    assert readable == "readable True"


def test_readers_never_wait_for_the_writer(store: SqliteStore, file: Path) -> None:
    store.append([candidate(an_event("acme"))])
    holder = apsw.Connection(str(file))
    holder.execute("BEGIN IMMEDIATE")
    assert store.count(Query(organization_id="acme")) == 1
    assert len(store.search(Query(organization_id="acme"), limit=5).items) == 1
    holder.execute("ROLLBACK")
    holder.close()


def test_deleting_a_day_lets_writers_in_between(store: SqliteStore) -> None:
    """A day of 3,000 events goes in a dozen transactions; appends go on meanwhile, and its pages return to the disk."""
    store.append([candidate(an_event("acme", NOON + n)) for n in range(3_000)])
    pages = _pages(store)
    day = _day(store)
    began = threading.Event()
    appended: list[int | None] = []

    def append_on() -> None:
        began.set()
        while not done.is_set():
            appended.extend(number for _, number in store.append([candidate(an_event("other", NOON + 86_400_000))]))

    done = threading.Event()
    writer = threading.Thread(target=append_on)
    writer.start()
    began.wait()
    assert store.delete_day("90d", day) == 3_000
    done.set()
    writer.join()
    assert len(appended) > 3
    assert store.count(Query(organization_id="acme")) == 0
    assert store.count(Query(organization_id="other")) == len(appended)
    assert _pages(store) < pages / 2


def test_an_organization_that_changes_class_keeps_its_days(store: SqliteStore) -> None:
    store.append([candidate(an_event("acme"))])
    day = _day(store)
    store.records.put("retention", "acme", {"retention": "365d"}, version=None)
    assert [each.retention for each in store.days()] == ["365d"]
    assert store.delete_day("90d", day) == 0
    # A process that has not heard of it yet changes nothing back.
    store.append([candidate(an_event("acme"), "90d")])
    assert [(each.retention, each.events) for each in store.days()] == [("365d", 2)]


def test_a_closed_store_says_so(store: SqliteStore) -> None:
    store.close()
    for call in (store.check, lambda: store.append([candidate(an_event("acme"))])):
        with pytest.raises(StoreUnavailable, match="closed"):
            call()


def _pages(store: SqliteStore) -> int:
    connection = apsw.Connection(str(store.path))
    found: int = connection.pragma("page_count")
    connection.close()
    return found


def _day(store: SqliteStore) -> date:
    return store.days()[0].day
