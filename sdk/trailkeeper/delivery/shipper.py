"""The thread that carries the journal to ingest: own segments first, then those of processes that are gone.

It starts with the first event, in a forked child with the child's first event. What it does between two requests is in
keeper.py.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from typing import Any

from trailkeeper.delivery.client import Committed, IngestClient, Misconfigured, Refused, Unavailable
from trailkeeper.delivery.keeper import Keeper
from trailkeeper.delivery.losses import organization_of
from trailkeeper.delivery.rejected import RejectedFile
from trailkeeper.delivery.segment import Segment, lines_of
from trailkeeper.delivery.writer import JournalWriter

_log = logging.getLogger("trailkeeper")

BATCH_BYTES = 1024 * 1024
_SMALLEST_BATCH = 16 * 1024
_LONGEST_BACKOFF = 30.0
_MISCONFIGURED_PAUSE = 30.0


class Shipper:
    """Ships one journal. `client` None keeps the journal within its bound and ships nothing."""

    def __init__(
        self,
        journal: JournalWriter,
        client: IngestClient | None,
        rejected: RejectedFile,
        *,
        source: str | None,
        interval: float,
        timeout: float,
        max_bytes: int,
    ) -> None:
        self._journal = journal
        self._client = client
        self._rejected = rejected
        self._interval = interval
        self._timeout = timeout
        self._keeper = Keeper(journal, source=source, max_bytes=max_bytes)
        self._start_afresh()
        _shippers.add(self)

    def _start_afresh(self) -> None:
        self.running = False
        self._thread: threading.Thread | None = None
        # Reentrant, and `running` true before the thread starts, for a signal handler that emits within start().
        self._starting = threading.RLock()
        # Held by the thread for its life: one that was told to stop may still be within a request.
        self._shipping = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._attempts_failed = 0
        self._not_before = 0.0
        self._failures = 0
        self._batch_bytes = BATCH_BYTES
        self._told = False

    def _after_fork(self) -> None:
        """Leave what was adopted to the parent; the thread, which a fork does not copy, starts with the next event."""
        self._keeper.release()
        self._start_afresh()

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._starting:
            if not self.running:
                self._stop = threading.Event()
                thread = threading.Thread(target=self._run, args=(self._stop,), name="trailkeeper-shipper", daemon=True)
                self._thread, self.running = thread, True
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is shutting down, or no more threads: the journal keeps it
                    self._thread, self.running = None, False

    def flush(self, timeout: float, *, give_up: bool = False) -> bool:
        """Ship now, and wait until all that was appended before is settled; `give_up` with the first failure."""
        target = self._journal.appended
        if self._client is None:
            return self._journal.settled >= target
        self.start()
        failed = self._attempts_failed
        self._not_before = 0.0
        self._wake.set()

        def is_over() -> bool:
            return self._journal.settled >= target or (give_up and self._attempts_failed > failed)

        with self._journal.progress:
            self._journal.progress.wait_for(is_over, timeout)
        return self._journal.settled >= target

    def stop(self, timeout: float) -> None:
        """End the thread, which then lets go of the files; wait up to `timeout` for a request that is under way."""
        with self._starting:
            thread, self._thread, self.running = self._thread, None, False
        if thread is None:
            self._journal.release()
        else:
            self._stop.set()
            self._wake.set()
            thread.join(timeout)

    def _run(self, stop: threading.Event) -> None:
        with self._shipping:
            while not stop.is_set():
                self._wake.wait(self._interval)
                self._wake.clear()
                try:
                    self._turn(stop)
                except Exception:
                    # A full disk, a folder taken away: the next turn may do better, and must be there to do it.
                    if not self._told:
                        self._told = True
                        _log.exception("trailkeeper: the journal in %s could not be shipped", self._journal.folder)
                    self._back_off()
                    self._failed()
            self._keeper.release()
            self._journal.release()
            if self._client is not None:
                self._client.close()

    def _turn(self, stop: threading.Event) -> None:
        self._keeper.turn()
        if self._client is not None and time.monotonic() >= self._not_before:
            self._ship_all(self._client, stop)

    # Shipping

    def _ship_all(self, client: IngestClient, stop: threading.Event) -> None:
        # What is sealed is asked before it is read: only then is there surely nothing behind the last line read.
        sealed, active = self._journal.own()
        for segment in sealed:
            if not self._ship(client, segment, stop, own=True):
                return
            self._keeper.end(segment)
        if active is not None and not self._ship(client, active, stop, own=True, growing=True):
            return
        for segment in list(self._keeper.adopted):
            if not self._ship(client, segment, stop, own=False):
                return
            self._keeper.end(segment)

    def _ship(
        self, client: IngestClient, segment: Segment, stop: threading.Event, *, own: bool, growing: bool = False
    ) -> bool:
        """Ship the whole lines of a segment; False where ingest did not take them.

        What came into a growing one meanwhile, if it is little, waits for the next turn: many small requests would cost
        the application's own threads more (the interpreter lock) than they gain.
        """
        while body := segment.read(self._batch_bytes):
            if not own:
                sound = _sound_start(body)
                if not sound:
                    self._skip(segment, body[: body.index(b"\n") + 1])
                    continue
                body = sound
            full = len(body) * 2 > self._batch_bytes
            if not self._send(client, body, segment, own=own) or stop.is_set():
                return False
            if growing and not full:
                break
        return True

    def _skip(self, segment: Segment, line: bytes) -> None:
        """Pass over a line that is no event: a power loss can leave zeros, a bad disk anything."""
        if line.strip(b"\0\r\n "):
            self._keeper.lost(organization_of(line), "a line of the journal was damaged", 1)
        segment.advance(len(line))

    def _send(self, client: IngestClient, body: bytes, segment: Segment, *, own: bool) -> bool:
        """Send a batch, in halves where ingest does not take it whole; advance with every part that is settled."""
        answer = client.post(body, self._timeout)
        match answer:
            case Committed(rejected=rejected):
                if rejected:
                    lines = lines_of(body)
                    for position, problem in rejected:
                        self._reject(lines[position], problem)
                self._advance(segment, len(body), own=own)
                self._recover()
                return True
            case Refused(problem=problem):
                lines = lines_of(body)
                if len(lines) == 1:
                    self._reject(body, problem)
                    self._advance(segment, len(body), own=own)
                    return True
                self._batch_bytes = max(_SMALLEST_BATCH, self._batch_bytes // 2)
                half = len(lines) // 2
                return self._send(client, b"".join(lines[:half]), segment, own=own) and self._send(
                    client, b"".join(lines[half:]), segment, own=own
                )
            case Misconfigured(reason=reason):
                self._pause(_MISCONFIGURED_PAUSE, f"ingest does not take events as configured ({reason})")
            case Unavailable(reason=reason, retry_after=retry_after, timed_out=timed_out):
                if timed_out:
                    self._batch_bytes = max(_SMALLEST_BATCH, self._batch_bytes // 2)
                if retry_after is not None:
                    self._pause(min(retry_after, 600.0), f"ingest asks for patience ({reason})")
                else:
                    self._tell(f"ingest is not available ({reason})")
                    self._back_off()
        self._failed()
        return False

    def _advance(self, segment: Segment, size: int, *, own: bool) -> None:
        segment.advance(size)
        if own:
            self._journal.settle(size)

    def _failed(self) -> None:
        with self._journal.progress:
            self._attempts_failed += 1
            self._journal.progress.notify_all()

    def _reject(self, line: bytes, problem: dict[str, Any]) -> None:
        _log.warning(
            "trailkeeper: ingest rejected an event: %s It is kept in %s.",
            problem.get("detail") or problem.get("title"),
            self._rejected.path,
        )
        if not self._rejected.write(line, problem):
            self._keeper.lost(organization_of(line), "rejected.ndjson is full", 1)

    # Trouble

    def _recover(self) -> None:
        self._failures = 0
        self._batch_bytes = min(BATCH_BYTES, self._batch_bytes * 2)
        if self._told:
            self._told = False
            _log.info("trailkeeper: ingest takes events again")

    def _back_off(self) -> None:
        """Wait a random part of twice as long as last time: full jitter, so that many applications do not march."""
        self._failures += 1
        most = min(_LONGEST_BACKOFF, 0.5 * 2 ** min(self._failures - 1, 10))
        self._not_before = time.monotonic() + random.uniform(0, most)  # noqa: S311 - not a secret

    def _pause(self, seconds: float, why: str) -> None:
        self._tell(why)
        self._not_before = time.monotonic() + seconds

    def _tell(self, why: str) -> None:
        """Warn once an outage, not once an attempt."""
        if not self._told:
            self._told = True
            _log.warning("trailkeeper: %s; events are kept in %s and shipped later", why, self._journal.folder)


def _sound_start(body: bytes) -> bytes:
    """Give the lines up to the first that cannot be an event."""
    size = 0
    for line in lines_of(body):
        if not line.startswith(b"{") or b"\0" in line:
            break
        size += len(line)
    return body[:size]


_shippers: weakref.WeakSet[Shipper] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for shipper in list(_shippers):
        shipper._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
