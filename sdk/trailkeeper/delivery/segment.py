"""One file of the journal: NDJSON, appended to by one process, read by whoever holds its lock.

The lock (flock) is the right to ship the segment and to delete it. Its writer holds it from before the file has its name
until it is shipped, so a segment whose lock can be had was left by a process that is gone, however it went. How far it
was shipped stands beside it in `.offset`, replaced by rename; where that is lost the events are sent again, which
ingest, knowing their ids, calls duplicates.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".ndjson"
_OFFSET, _NEW = ".offset", ".new"
# Time first, so that sorting by name is sorting by age.
_PATTERN = f"segment-*{SUFFIX}"


class Segment:
    """An open, locked segment. Its methods need a caller who lets one thread in at a time."""

    def __init__(self, path: Path, fd: int, offset: int = 0) -> None:
        self.path = path
        self.fd = fd
        self.size = os.fstat(fd).st_size
        self.offset = offset
        # Set by a writer that left half a line at the end, and has counted its event as lost.
        self.torn_end_counted = False

    @classmethod
    def create(cls, folder: Path) -> Segment:
        """Make an empty segment. Locked first and named second, so that nobody takes it for an orphan."""
        while True:
            name = f"segment-{time.time_ns() // 1000:017d}-{os.getpid()}-{secrets.token_hex(3)}"
            new = folder / f"{name}{_NEW}"
            fd = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path = folder / f"{name}{SUFFIX}"
                new.rename(path)
            except (BlockingIOError, FileNotFoundError):  # tidied away as a left-over while we were suspended
                os.close(fd)
                continue
            except BaseException:
                os.close(fd)
                raise
            return cls(path, fd)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """Take over a segment that nobody holds any more; None where somebody does, or it is gone."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_nlink == 0:  # shipped and deleted between our open and our lock
                os.close(fd)
                return None
        except OSError:
            os.close(fd)
            return None
        segment = cls(path, fd)
        segment.offset = min(_read_offset(path), segment.size)
        return segment

    @property
    def left(self) -> int:
        """Bytes not yet shipped."""
        return self.size - self.offset

    def read(self, most: int) -> bytes:
        """Read unshipped whole lines, `most` bytes or the one line that is longer; empty where there is none."""
        while True:
            chunk = os.pread(self.fd, most, self.offset)
            end = chunk.rfind(b"\n") + 1
            if end or len(chunk) < most:
                return chunk[:end]
            most *= 2

    def read_rest(self) -> bytes:
        """Read everything unshipped, half a line at the end included."""
        return os.pread(self.fd, max(0, self.left), self.offset)

    def advance(self, size: int) -> None:
        """Remember that the next `size` bytes need not be sent again."""
        self.offset += size
        beside = self.path.with_suffix(_OFFSET)
        draft = beside.with_suffix(f"{_OFFSET}{_NEW}")
        draft.write_text(str(self.offset))
        draft.replace(beside)

    def delete(self) -> None:
        """Remove the segment and give up its lock."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(_OFFSET).unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Close the file; its lock goes with it, unless a process that was forked shares it still."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _read_offset(path: Path) -> int:
    try:
        return int(path.with_suffix(_OFFSET).read_text())
    except (OSError, ValueError):
        return 0


def lines_of(body: bytes) -> list[bytes]:
    """Give the whole lines of what was read, each with its line feed."""
    return [line + b"\n" for line in body.split(b"\n")[:-1]]


def segment_paths(folder: Path) -> list[Path]:
    """Give all segments of a folder, whoever writes them, oldest first."""
    return sorted(folder.glob(_PATTERN))


def total_bytes(folder: Path) -> int:
    """Give the bytes of all segments of a folder, whoever writes them."""
    total = 0
    for path in segment_paths(folder):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@contextlib.contextmanager
def turn_to_drop(folder: Path) -> Iterator[bool]:
    """Let one process at a time drop segments, so that a bound passed once does not cost a segment in each."""
    fd = os.open(folder / "bound.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def tidy(folder: Path, older_than: float) -> None:
    """Remove what a kill between two calls can leave: half-made files, and offsets whose segment is gone."""
    for path in _left_overs(folder):
        try:
            if path.stat().st_mtime < older_than:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue


def _left_overs(folder: Path) -> Iterator[Path]:
    yield from folder.glob(f"segment-*{_NEW}")
    for path in folder.glob(f"segment-*{_OFFSET}"):
        if not path.with_suffix(SUFFIX).exists():
            yield path
