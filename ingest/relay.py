"""From the spool to the store: in order of commit, a few requests in flight, until the engine has every event.

Each event ends in one of two places: in the store (created, or there before), or among the dead letters with the engine's
own error. What the engine can't take right now is tried again alone, with full-jitter backoff; nothing is tried again out of
a batch that succeeded. A batch leaves the spool only when all of it is settled, so a crash at any point means sending it
again, and the same id is stored once.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import structlog

from audit.errors import StoreUnavailable, TrailkeeperError
from ingest.acks import Acks
from ingest.metrics import Metrics
from ingest.spool import Batch, Damaged, Spool
from store.protocol import Document, Outcome, Store, Written

_log = structlog.get_logger("trailkeeper.relay")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 15.0


class Buried(NamedTuple):
    """An event that the store will never take, on its way to the dead letters: REFUSED or CONFLICT, and why."""

    document: Document
    outcome: Outcome
    error: str


class Relay:
    """Moves events from a spool to a store, on `concurrency` threads, about `max_bytes` a request.

    `on_buried` is told of events that go to the dead letters, before they do; after a crash it may be told again.
    `on_fatal` is called with an error of the spool's after which it can't be trusted (a failed fsync).
    """

    def __init__(
        self,
        spool: Spool,
        store: Store,
        acks: Acks,
        *,
        max_bytes: int,
        concurrency: int,
        on_buried: Callable[[Sequence[Buried]], None] = lambda buried: None,
        on_fatal: Callable[[BaseException], None],
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._spool = spool
        self._store = store
        self._acks = acks
        self._max_bytes = max_bytes
        self._on_buried = on_buried
        self._on_fatal = on_fatal
        self._read = threading.Lock()
        self._taken = spool.first - 1
        self._stopping = threading.Event()
        self._draining = threading.Event()
        self.problem: str | None = None
        """Why the engine took nothing at the last try; None while it does."""
        self._threads = [
            threading.Thread(target=self._run, name=f"relay-{number}", daemon=True) for number in range(concurrency)
        ]

    def start(self) -> None:
        """Start with the oldest batch that is there."""
        for thread in self._threads:
            thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Send what is there for up to `drain_seconds`, then end. What is left stays in the spool for the next start."""
        self._draining.set()
        self._wake()
        deadline = time.monotonic() + drain_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._stopping.set()
        self._wake()
        for thread in self._threads:
            thread.join()

    def _wake(self) -> None:
        with self._spool.arrived:
            self._spool.arrived.notify_all()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                batches = self._take()
            except Damaged as error:
                _log.critical("spool_damaged", error=str(error))
                self._on_fatal(error)
                return
            except Exception as error:  # the spool can't be read: said at /readyz, and tried again
                _log.exception("spool_unreadable")
                self.problem = f"The spool can't be read: {error}"
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if batches:
                self._send(batches)
            elif self._draining.is_set():
                return

    def _take(self) -> Sequence[Batch]:
        """Read the next batches nobody has in hand; wait where there are none."""
        with self._read:
            last = self._spool.last
            batches = self._spool.read(self._taken, self._max_bytes)
            if batches:
                self._taken = batches[-1].first + len(batches[-1].documents) - 1
                return batches
            # Nothing up to `last` is left. (After a restart that is news: what was settled before is not there.)
            self._taken = max(self._taken, last)
        with self._spool.arrived:
            # What was committed since the read above is seen here; what comes later notifies.
            if self._spool.last <= self._taken and not self._draining.is_set():
                self._spool.arrived.wait()
        return ()

    def _send(self, batches: Sequence[Batch]) -> None:
        left: Sequence[Document] = [document for batch in batches for document in batch.documents]
        settled: dict[str, Written] = {}
        dead: list[tuple[Document, str]] = []
        pause = _FIRST_PAUSE
        while left:
            again = self._try(left, settled, dead)
            if again:
                pause = _FIRST_PAUSE if len(again) < len(left) else pause
                if self._rest(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE)
            left = again
        while not self._settle(batches, dead):
            if self._rest(pause):
                return
            pause = min(pause * 2, _LONGEST_PAUSE)
        # Told again, now that the spool says so too: who asked about a duplicate in between was told to wait.
        self._acks.announce(settled)

    def _try(
        self, documents: Sequence[Document], settled: dict[str, Written], dead: list[tuple[Document, str]]
    ) -> Sequence[Document]:
        """Send documents once, in requests of about `max_bytes`; give back those to be sent again."""
        again: list[Document] = []
        for start, end in _requests(documents, self._max_bytes):
            results = self._write(documents[start:end])
            if results is None:
                return [*again, *documents[start:]]
            dead += self._bury(documents[start:end], results, settled)
            again += [
                document
                for document, written in zip(documents[start:end], results, strict=True)
                if written.outcome is Outcome.RETRY
            ]
        return again

    def _rest(self, pause: float) -> bool:
        """Wait before the next try; tell whether there will be none because the relay stops."""
        # Full jitter, so that instances that failed together don't come back together.
        return self._stopping.wait(random.uniform(0, pause))  # noqa: S311 not a secret

    def _settle(self, batches: Sequence[Batch], dead: Sequence[tuple[Document, str]]) -> bool:
        try:
            self._spool.settle(batches, dead)
        except TrailkeeperError as error:  # a full disk: what is in the spool stays a while longer
            _log.warning("not_settled", error=str(error))
            self.problem = str(error)
            return False
        except Exception as error:
            _log.critical("settle_failed", error=repr(error))
            self._on_fatal(error)
            return False
        return True

    def _write(self, documents: Sequence[Document]) -> Sequence[Written] | None:
        try:
            with self._metrics.relay_seconds.time():
                results = self._store.write(documents, searchable=self._acks.wants_searchable(documents))
        except StoreUnavailable as error:
            if self.problem is None:
                _log.warning("store_unavailable", error=str(error), waiting=self._spool.depth)
            self.problem = str(error)
            return None
        except Exception as error:  # nobody foresaw it; the events are safe here, and the thread must go on
            if self.problem is None:
                _log.exception("store_failed")
            self.problem = f"The store failed: {error!r}"
            return None
        for outcome, count in Counter(written.outcome for written in results).items():
            self._metrics.relayed.labels(outcome).inc(count)
        refused = next((written.error for written in results if written.outcome is Outcome.RETRY), None)
        if self.problem is not None and refused is None:
            _log.info("store_available_again")
        self.problem = refused
        return results

    def _bury(
        self, documents: Sequence[Document], results: Sequence[Written], all_settled: dict[str, Written]
    ) -> Sequence[tuple[Document, str]]:
        """Pick the ones that will never be stored, and tell those who wait about all that are settled."""
        buried: list[Buried] = []
        settled: dict[str, Written] = {}
        for document, written in zip(documents, results, strict=True):
            if written.outcome is Outcome.RETRY:
                continue
            settled[document.id] = written
            if written.outcome in (Outcome.REFUSED, Outcome.CONFLICT):
                error = written.error or "another event with this id is stored already"
                _log.error("dead_letter", id=document.id, organization_id=document.organization_id, error=error)
                buried.append(Buried(document, written.outcome, error))
        if buried:
            self._on_buried(buried)
        all_settled.update(settled)
        self._acks.announce(settled)
        return [(document, error) for document, _, error in buried]


def _requests(documents: Sequence[Document], max_bytes: int) -> Iterator[tuple[int, int]]:
    """Cut documents into requests: a commit under load may hold many times what one request should."""
    start = size = 0
    for place, document in enumerate(documents):
        if place > start and size + len(document.body) > max_bytes:
            yield start, place
            start, size = place, 0
        size += len(document.body)
    if documents:
        yield start, len(documents)
