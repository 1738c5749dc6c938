"""Group commit: one writer thread, and each commit takes everything that queued during the last one.

There is no timer: under no load an event is committed at once, under load one fsync serves hundreds of requests. The bound
on what may wait keeps memory bounded when the disk is slower than the network.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from audit.errors import SpoolFull, SyncFailed, TrailkeeperError, Unavailable
from ingest.metrics import Metrics
from store.protocol import Appended, Candidate, Log

Result = Sequence[Appended]
_log = structlog.get_logger("trailkeeper.ingest")


@dataclass(slots=True)
class _Submission:
    """What one caller wants committed, and where the answer goes."""

    candidates: Sequence[Candidate]
    size: int
    loop: asyncio.AbstractEventLoop | None
    future: "asyncio.Future[Result] | Future[Result]"
    result: Result = ()
    error: BaseException | None = None

    def settle(self) -> None:
        """Give the answer; on the caller's loop, where it has one."""
        if self.future.done():
            return  # the request went away meanwhile; what it sent is committed all the same
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class GroupCommit:
    """Commits submissions through a log, in the order they came.

    `max_waiting` is in bytes of events not committed yet; `max_group` bounds one transaction, in events. `on_fatal` is
    called with an error after which the log can't be trusted (a failed fsync): the process is expected to end.
    """

    def __init__(
        self,
        log: Log,
        *,
        max_waiting: int = 64 << 20,
        max_group: int = 20_000,
        on_fatal: Callable[[BaseException], None],
        metrics: Metrics | None = None,
    ) -> None:
        self._log = log
        self._metrics = metrics or Metrics()
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._on_fatal = on_fatal
        self._queue: deque[_Submission] = deque()
        self._waiting = 0
        self._closing = False
        self._broken = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    def start(self) -> None:
        """Start the writer thread."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what was submitted, then end. Later submissions are refused."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    async def commit(self, candidates: Sequence[Candidate]) -> Result:
        """Submit, and wait on an event loop until they are durable.

        Raises SpoolFull where too much is waiting, DiskFull where the commit had no room; nothing is committed then.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._submit(candidates, loop, future)
        return await future

    def append(self, candidates: Sequence[Candidate]) -> Result:
        """Do the same from a thread of the caller's own."""
        future: Future[Result] = Future()
        self._submit(candidates, None, future)
        return future.result()

    def _submit(
        self,
        candidates: Sequence[Candidate],
        loop: asyncio.AbstractEventLoop | None,
        future: "asyncio.Future[Result] | Future[Result]",
    ) -> None:
        size = sum(len(candidate.normal) for candidate in candidates)
        with self._wake:
            if self._broken:
                raise _failed()
            if self._closing:
                raise Unavailable("This instance is shutting down.", fix="Send it again.", retry_after=1)
            if self._waiting and self._waiting + size > self._max_waiting:
                raise SpoolFull(
                    "The disk is slower than what arrives.",
                    limit=self._max_waiting,
                    fix="Send it again later.",
                    retry_after=1,
                )
            self._waiting += size
            self._queue.append(_Submission(candidates, size, loop, future))
            self._wake.notify()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
            with self._wake:
                self._waiting -= sum(item.size for item in group)
            _answer(group)

    def _next_group(self) -> Sequence[_Submission]:
        """Wait for work, and take all there is, up to `max_group` events; nothing once closing and done."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            group: list[_Submission] = []
            events = 0
            while self._queue and (not group or events + len(self._queue[0].candidates) <= self._max_group):
                group.append(self._queue.popleft())
                events += len(group[-1].candidates)
            return group

    def _commit(self, group: Sequence[_Submission]) -> None:
        if self._broken:  # queued before anybody knew
            for item in group:
                item.error = _failed()
            return
        candidates = [candidate for item in group for candidate in item.candidates]
        try:
            with self._metrics.commit_seconds.time():
                appended = self._log.append(candidates)
        except BaseException as error:
            if isinstance(error, TrailkeeperError) and not isinstance(error, SyncFailed):
                for item in group:
                    item.error = error
                return
            # Whatever this is, nobody knows what the disk holds now. Nothing is acknowledged, now or later.
            _log.critical("commit_failed", error=repr(error))
            self._broken = True
            for item in group:
                item.error = _failed()
            self._on_fatal(error)
            return
        self._metrics.commit_events.observe(len(candidates))
        start = 0
        for item in group:
            end = start + len(item.candidates)
            item.result = appended[start:end]
            start = end


def _failed() -> Unavailable:
    return Unavailable("The commit failed.", fix="Send it again.", retry_after=5)


def _answer(group: Sequence[_Submission]) -> None:
    """Wake each event loop once for all of its requests, rather than once a request."""
    loops: dict[asyncio.AbstractEventLoop, list[_Submission]] = {}
    for item in group:
        if item.loop is None:
            item.settle()
        else:
            loops.setdefault(item.loop, []).append(item)
    for loop, items in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, items)
        except RuntimeError:  # the loop is closed; all is committed, and the sender will ask again
            _log.warning("answers_without_a_loop", requests=len(items))


def _settle(items: Sequence[_Submission]) -> None:
    for item in items:
        item.settle()
