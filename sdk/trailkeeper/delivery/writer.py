"""Writing the journal: a folder of segments that outlives the process; shipper.py carries it away.

An event is one os.write of one line to a file opened for appending, and is then the kernel's: a kill -9 of the
application cannot take it back. Against power loss there is `fsync`, which makes every call wait for the disk.

Processes share a folder: each writes segments of its own (see segment.py for the lock that says so). After a fork the
child starts one of its own with its first event.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from pathlib import Path

from trailkeeper.delivery.losses import Losses, organization_of
from trailkeeper.delivery.segment import Segment

# A longer line would not fit a request to ingest (5 MiB).
LONGEST_LINE = 4 * 1024 * 1024


class JournalWriter:
    """Appends lines. Safe for threads, forks and signal handlers; only `append` raises for what the disk does."""

    def __init__(self, folder: Path, *, segment_bytes: int, fsync: bool = False) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.losses = Losses()
        self._fsync = fsync
        self._start_afresh()
        _writers.add(self)

    def _start_afresh(self) -> None:
        # Reentrant, as a signal handler may emit while the same thread is in here.
        self.lock = threading.RLock()
        self.active: Segment | None = None
        # Full segments that are not shipped yet, oldest first.
        self.sealed: list[Segment] = []
        # Bytes ever appended, and bytes of those that need no more work; both only grow.
        self.appended = 0
        self.settled = 0
        # Told whenever `settled` grows.
        self.progress = threading.Condition()

    def keep(self, line: bytes) -> None:
        """Append a line; where that fails, count its event as lost."""
        try:
            self.append(line)
        except OSError as error:
            self.losses.add(organization_of(line) or "", f"the journal could not be written: {error.strerror}")

    def append(self, line: bytes) -> None:
        """Append a line. Raises OSError where it is not kept."""
        with self.lock:
            segment = self.active
            size = len(line)
            if segment is None or segment.size + size > self.segment_bytes:
                segment = self._roll(segment)
            written = os.write(segment.fd, line)
            if written != size:
                self._finish(segment, line, written)
            segment.size += size
            self.appended += size
            if self._fsync:
                os.fdatasync(segment.fd)

    def _roll(self, segment: Segment | None) -> Segment:
        """Start the next segment. The last one is sealed only then: where there is no room for another, it goes on."""
        if segment is not None and segment.size == 0:
            return segment  # one line longer than a segment
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Segment.create(self.folder)
        if self.active is not None and self.active is not segment:  # a signal handler has been here meanwhile
            fresh.delete()
            return self.active
        if segment is not None:
            self.sealed.append(segment)
        self.active = fresh
        return fresh

    def _finish(self, segment: Segment, line: bytes, written: int) -> None:
        """Write the rest of a line that the disk took in part; take the part back where it takes no more."""
        try:
            while written < len(line):
                written += os.write(segment.fd, line[written:])
        except OSError:
            try:
                os.ftruncate(segment.fd, segment.size)
            except OSError:
                segment.torn_end_counted = True
                segment.size += written
                self.appended += written
                self.sealed.append(segment)
                self.active = None
            raise

    def roll(self) -> None:
        """Seal the active segment, so that it can be shipped to its end and deleted."""
        with self.lock, contextlib.suppress(OSError):
            if self.active is not None and self.active.size:
                self._roll(self.active)

    def own(self) -> tuple[list[Segment], Segment | None]:
        """Give this process's sealed segments, oldest first, and the active one."""
        with self.lock:
            return list(self.sealed), self.active

    def settle(self, size: int) -> None:
        """Note that `size` bytes of this process's own need no more work."""
        with self.progress:
            self.settled += size
            self.progress.notify_all()

    def discard(self, segment: Segment) -> None:
        """Delete a sealed segment of this process."""
        with self.lock:
            if segment in self.sealed:
                self.sealed.remove(segment)
            segment.delete()

    def release(self) -> None:
        """Let go of every file: delete what is shipped, leave the rest for the next process or the next event."""
        with self.lock:
            for segment in self._held():
                if segment.left == 0:
                    with contextlib.suppress(OSError):
                        segment.delete()
                segment.release()
                self.settle(segment.left)
            self.sealed, self.active = [], None

    def _held(self) -> list[Segment]:
        return [*self.sealed, self.active] if self.active is not None else self.sealed

    def _after_fork(self) -> None:
        """Leave the parent's segments to the parent: close our copies, which keeps its locks, and forget them."""
        for segment in self._held():
            with contextlib.suppress(OSError):
                segment.release()
        self.losses = Losses()
        self._start_afresh()


_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
