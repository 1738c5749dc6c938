"""The relay: every event in the store exactly once, whatever the store says in between, and an end to every wait."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from audit.errors import DiskFull, StoreUnavailable
from audit.query import Query
from ingest.acks import Acks
from ingest.deadletters import DeadLetters
from ingest.relay import Relay
from ingest.spool import Spool
from store.protocol import Document, Outcome, Written
from store.sqlite import SqliteStore
from tests.ingest.sending import ORGANIZATION, candidate

Verdict = Written | Exception | None


class Faulty(SqliteStore):
    """The real store, which a test makes say something else of some ids, so many times."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.verdicts: dict[str, list[Verdict]] = {}
        self.away: list[Exception] = []
        self.requests: list[list[str]] = []
        self.at_once: Counter[str] = Counter()
        self.overlaps: list[str] = []
        self.wrote = threading.Event()
        self._guard = threading.Lock()

    def write(self, documents: Sequence[Document], *, searchable: bool = False) -> Sequence[Written]:
        ids = [document.id for document in documents]
        with self._guard:
            self.requests.append(ids)
            self.overlaps += [id for id in ids if self.at_once[id]]
            self.at_once.update(ids)
            error = self.away.pop() if self.away else None
        try:
            if error is not None:
                raise error
            said = {id: self.verdicts[id].pop() for id in ids if self.verdicts.get(id)}
            good = [document for document in documents if said.get(document.id) is None]
            written = dict(zip((each.id for each in good), super().write(good), strict=True))
            answers: list[Written] = []
            for id in ids:
                verdict = said.get(id)
                answers.append(verdict if isinstance(verdict, Written) else written[id])
            return answers
        finally:
            with self._guard:
                self.at_once.subtract(ids)
            self.wrote.set()

    def ids(self) -> list[str]:
        page = self.search(Query(organization_id=ORGANIZATION), limit=100_000)
        return sorted(json.loads(body)["id"] for body in page.items)


RETRY = Written(Outcome.RETRY, "es_rejected_execution_exception")
REFUSED = Written(Outcome.REFUSED, "mapper_parsing_exception")
CONFLICT = Written(Outcome.CONFLICT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Faulty]:
    store = Faulty(tmp_path / "behind.sqlite")
    yield store
    store.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.sqlite")
    yield spool
    spool.close()


@pytest.fixture
def fatal() -> list[BaseException]:
    return []


@pytest.fixture
def relay(spool: Spool, store: Faulty, fatal: list[BaseException]) -> Iterator[Callable[..., Relay]]:
    """Make and start a relay; it is stopped at the end."""
    made: list[Relay] = []

    def _make(max_bytes: int = 1 << 20, concurrency: int = 2, **more: object) -> Relay:
        made.append(
            Relay(
                spool,
                store,
                Acks(),
                max_bytes=max_bytes,
                concurrency=concurrency,
                on_fatal=fatal.append,
                **more,  # type: ignore[arg-type]
            )
        )
        made[-1].start()
        return made[-1]

    yield _make
    for relay in made:
        relay.stop(0)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait on a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        threading.Event().wait(0.002)


def appended(spool: Spool, count: int, size: int = 0) -> list[str]:
    """Append one batch; give its ids."""
    candidates = [candidate(number, size=size) for number in range(count)]
    spool.append(candidates)
    return [each.id for each in candidates]


class TestDelivery:
    def test_everything_arrives_once(self, spool: Spool, store: Faulty, relay: Callable[..., Relay]) -> None:
        relay()
        ids = [id for _ in range(30) for id in appended(spool, 7)]

        until(lambda: spool.depth == 0)
        assert store.ids() == sorted(ids)

    def test_what_waited_before_the_start_arrives(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        ids = appended(spool, 3)

        relay()

        until(lambda: spool.depth == 0)
        assert store.ids() == sorted(ids)

    def test_bodies_arrive_as_they_were_committed(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        sent = candidate()
        spool.append([sent])
        ((_, (document,), _),) = spool.read(-1, 1)

        relay()

        until(lambda: spool.depth == 0)
        assert store.search(Query(organization_id=ORGANIZATION), limit=1).items == [document.body]

    def test_a_large_commit_is_cut_into_requests(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        appended(spool, 20, size=1000)

        relay(max_bytes=5000)

        until(lambda: spool.depth == 0)
        assert max(map(len, store.requests)) == 3

    def test_no_event_is_in_two_requests_at_once(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        relay(max_bytes=1, concurrency=8)
        for _ in range(60):
            appended(spool, 2)

        until(lambda: spool.depth == 0)
        assert store.overlaps == []
        assert Counter(id for request in store.requests for id in request).most_common(1)[0][1] == 1


class TestRefusals:
    def test_only_what_said_retry_is_sent_again(self, spool: Spool, store: Faulty, relay: Callable[..., Relay]) -> None:
        good, busy, fine = ids = appended(spool, 3)
        store.verdicts[busy] = [RETRY, RETRY]

        relay()

        until(lambda: spool.depth == 0)
        assert store.requests == [[good, busy, fine], [busy], [busy]]
        assert store.ids() == sorted(ids)

    def test_a_store_that_is_away_gets_the_same_events_again(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        store.away = [StoreUnavailable("away"), StoreUnavailable("away")]
        ids = appended(spool, 3)

        relay()

        until(lambda: spool.depth == 0)
        assert store.requests == [ids] * 3

    def test_while_it_is_away_the_relay_says_so(self, spool: Spool, store: Faulty, relay: Callable[..., Relay]) -> None:
        store.away = [StoreUnavailable("no route to host")] * 1000
        appended(spool, 1)

        running = relay()

        until(lambda: running.problem is not None)
        assert "no route to host" in str(running.problem)

    def test_when_it_is_back_the_relay_says_nothing(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        store.away = [StoreUnavailable("away")]
        appended(spool, 1)

        running = relay()

        until(lambda: spool.depth == 0)
        assert running.problem is None

    def test_an_error_nobody_foresaw_does_not_end_it(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        store.away = [RuntimeError("a bug"), KeyError("another")]
        ids = appended(spool, 3)

        relay(concurrency=1)

        until(lambda: spool.depth == 0)
        assert store.ids() == sorted(ids)

    def test_what_is_refused_goes_to_the_dead_letters_and_blocks_nobody(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        good, bad, fine = appended(spool, 3)
        store.verdicts[bad] = [REFUSED]

        relay()

        until(lambda: spool.depth == 0)
        assert store.ids() == sorted([good, fine])
        with DeadLetters.open(spool.path) as dead:
            assert [(letter.document.id, letter.error) for letter in dead.all()] == [(bad, REFUSED.error)]

    def test_refused_while_a_neighbour_is_retried_it_is_buried_once(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        busy, bad = appended(spool, 2)
        store.verdicts = {busy: [RETRY], bad: [REFUSED]}

        relay()

        until(lambda: spool.depth == 0)
        assert store.requests == [[busy, bad], [busy]]
        assert spool.dead_count() == 1

    def test_a_conflict_is_reported_once_and_buried(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        (id,) = appended(spool, 1)
        store.verdicts[id] = [CONFLICT]
        reported: list[str] = []

        relay(on_buried=lambda buried: reported.extend(one.document.id for one in buried))

        until(lambda: spool.depth == 0)
        assert reported == [id]
        assert spool.dead_count() == 1

    def test_a_disk_too_full_to_settle_is_waited_out(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The disk is full for two tries, as SQLite would say it."""
        settle, full = spool.settle, [DiskFull("full"), DiskFull("full")]

        def try_to_settle(*arguments: object) -> None:
            if full:
                raise full.pop()
            settle(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(spool, "settle", try_to_settle)
        ids = appended(spool, 2)

        relay()

        until(lambda: spool.depth == 0)
        assert store.requests == [ids]

    def test_a_failed_sync_in_settle_is_fatal(
        self,
        spool: Spool,
        relay: Callable[..., Relay],
        fatal: list[BaseException],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError("fsync failed")

        monkeypatch.setattr(spool, "settle", fail)
        appended(spool, 1)

        relay()

        until(lambda: bool(fatal))
        assert isinstance(fatal[0], OSError)


class TestStopping:
    def test_stopping_drains(self, spool: Spool, store: Faulty, relay: Callable[..., Relay]) -> None:
        running = relay(max_bytes=1)
        ids = [id for _ in range(50) for id in appended(spool, 2)]

        running.stop(30)

        assert store.ids() == sorted(ids)
        assert spool.depth == 0

    def test_stopping_with_nothing_to_do_is_at_once(self, relay: Callable[..., Relay]) -> None:
        running = relay(concurrency=8)

        began = time.monotonic()
        running.stop(30)

        assert time.monotonic() - began < 5

    def test_stopping_while_the_store_is_away_leaves_all_in_the_spool(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        store.away = [StoreUnavailable("away")] * 100_000
        appended(spool, 3)
        running = relay()
        store.wrote.wait(10)

        running.stop(0.05)

        assert spool.depth == 3

    def test_stopping_amid_a_retry_settles_nothing_and_loses_nothing(
        self, spool: Spool, store: Faulty, relay: Callable[..., Relay]
    ) -> None:
        good, busy = ids = appended(spool, 2)
        store.verdicts[busy] = [RETRY] * 100_000
        running = relay()
        store.wrote.wait(10)
        running.stop(0.05)
        assert spool.depth == 2
        store.verdicts.clear()

        relay()

        until(lambda: spool.depth == 0)
        assert store.ids() == sorted(ids)
        assert good in store.ids()

    def test_it_resumes_after_a_restart(self, tmp_path: Path, store: Faulty, fatal: list[BaseException]) -> None:
        path = tmp_path / "again.sqlite"
        spool = Spool(path)
        ids = appended(spool, 3)
        spool.close()
        spool = Spool(path)
        running = Relay(spool, store, Acks(), max_bytes=1, concurrency=1, on_fatal=fatal.append)
        running.start()

        until(lambda: spool.depth == 0)
        running.stop(0)
        spool.close()
        assert store.ids() == sorted(ids)

    def test_after_a_restart_over_a_settled_spool_it_sleeps(
        self, tmp_path: Path, store: Faulty, fatal: list[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "again.sqlite"
        spool = Spool(path)
        appended(spool, 3)
        spool.settle(spool.read(-1, 1 << 20))
        spool.close()
        spool = Spool(path)
        reads: list[int] = []
        read = spool.read

        def note(after: int, max_bytes: int) -> object:
            reads.append(after)
            return read(after, max_bytes)

        monkeypatch.setattr(spool, "read", note)
        running = Relay(spool, store, Acks(), max_bytes=1, concurrency=1, on_fatal=fatal.append)
        running.start()
        ids = appended(spool, 1)
        until(lambda: spool.depth == 0)
        running.stop(5)
        spool.close()

        assert store.ids() == ids
        assert len(reads) < 10
