"""The connections to one SQLite file: one that writes, under a lock, and as many that read as are asked for at once.

In WAL mode neither waits for the other. Every write is one transaction, committed and synced when its block is left.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from audit.errors import StoreUnavailable, SyncFailed
from store.sqlite_file import engine_errors, is_sync_failure, open_file, open_reader
from store.sqlite_rows import Interned

# Pages of the write-ahead log after which a commit copies them into the file: SQLite's own choice.
_CHECKPOINT_PAGES = 1000
_VACUUM_PAGES = 128


class Connections:
    """Opens and hands out connections, and knows when the file must not be written any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._readers: deque[apsw.Connection] = deque()
        self._broken: str | None = None
        self._closed = False
        self._wal_pages = 0
        with engine_errors(path):
            self._writer = open_file(path)
            self._writer.set_wal_hook(self._note_wal)
        self.interned = Interned(self._writer)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """One write transaction: committed and synced on leaving, rolled back on any error."""
        with self._lock, engine_errors(self.path):
            self.require_sound()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self.interned.begin()
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                self.interned.forget()
                self._note_failure(error)
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            if self._wal_pages >= _CHECKPOINT_PAGES:
                self._checkpoint()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """One snapshot, on a connection of its own while it lasts."""
        with engine_errors(self.path):
            self._require_open()
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = open_reader(self.path)
            try:
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    connection.execute("ROLLBACK")
            finally:
                if self._closed:
                    connection.close()
                else:
                    self._readers.append(connection)

    def give_back(self) -> bool:
        """Hand some free pages at the end of the file back to the file system; tell whether there are more."""
        with self._lock, engine_errors(self.path):
            self.require_sound()
            free = self._writer.pragma("freelist_count")
            if free:
                self._writer.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            if not free or self._wal_pages >= _CHECKPOINT_PAGES:
                self._checkpoint()
            return bool(free)

    def require_sound(self) -> None:
        """Raise StoreUnavailable where the file was closed; SyncFailed where it can't be trusted since a sync failed."""
        self._require_open()
        if self._broken is not None:
            raise SyncFailed(
                f"A sync of {self.path} failed ({self._broken}), so nothing more is written to it.",
                fix="Check the disk, then restart: what was acknowledged is recovered from the file.",
            )

    def close(self) -> None:
        """Close every connection; the last one to go leaves a file without a write-ahead log."""
        with self._lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self.path} was closed.")

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the file.

        The commit before it stands, so a full disk can wait for the next time; a failed fsync can't.
        """
        try:
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0
        except (apsw.BusyError, apsw.FullError, apsw.IOError) as error:
            self._note_failure(error)

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _note_failure(self, error: BaseException) -> None:
        if isinstance(error, apsw.Error) and is_sync_failure(error):
            self._broken = str(error) or type(error).__name__
