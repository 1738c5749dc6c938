"""The spool: where ingest commits events before OpenSearch has them, and the log that numbers them.

One SQLite file through apsw (which brings its own current SQLite; the standard library's can be years old): WAL,
synchronous=FULL, one row for each commit rather than one for each event. Rows leave once the engine has every event of
them. The ids of the last `dedupe_window` events stay, so that most duplicates are answered without the engine; older ones
the engine recognises.
"""

import fcntl
import hashlib
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw
import orjson

from audit.errors import ConfigurationError, DiskFull, SpoolFull, TrailkeeperError, Unavailable
from audit.instants import format_instant, to_ms, utc_now
from audit.wire import stamp
from store.protocol import Appended, Candidate, Document, Outcome
from store.sqlite_file import require_sound_sqlite

APPLICATION_ID = 0x544B5350  # "TKSP": so that `file` and a wrong path can tell what this is
VERSION = 1
_SCHEMA = """
CREATE TABLE log (id TEXT NOT NULL, next INTEGER NOT NULL);
-- One row a commit. heads: [[id, organization_id, occurred_at, retention], …]; bodies: stored events, one a line.
CREATE TABLE batch (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
                    committed_at INTEGER NOT NULL, heads BLOB NOT NULL, bodies BLOB NOT NULL);
CREATE TABLE seen (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, digest BLOB NOT NULL);
CREATE TABLE dead (id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, occurred_at INTEGER NOT NULL,
                   retention TEXT NOT NULL, body BLOB NOT NULL, error TEXT NOT NULL, buried_at TEXT NOT NULL);
"""


def open_file(path: Path, *, make: bool = False) -> apsw.Connection:
    """Open a spool's file as every user of it does: commits are synced, and a busy moment of another is waited out.

    Raises ConfigurationError for a path that can't be used and a file that is no spool; nothing is written to such a one.
    """
    db = None
    try:
        db = apsw.Connection(str(path))
        db.set_busy_timeout(10_000)
        _require_spool(db, path, make)
        # A transaction that reads first and then finds that another process wrote could not go on.
        db.transaction_mode = "IMMEDIATE"
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "full")
        db.pragma("fullfsync", True)
        # Checkpoints are run here, after a commit: SQLite's own would keep a failed fsync to itself.
        db.pragma("wal_autocheckpoint", 0)
    except apsw.Error as error:
        if db is not None:
            db.close()
        raise ConfigurationError(
            f"The spool {path} can't be opened: {error}.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Name a spool, or a new file in a folder that this user may write.",
        ) from None
    except ConfigurationError:
        if db is not None:
            db.close()
        raise
    return db


def _require_spool(db: apsw.Connection, path: Path, make: bool) -> None:
    version = db.pragma("user_version")
    if make and version == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchall():
        return
    if db.pragma("application_id") != APPLICATION_ID:
        raise ConfigurationError(
            f"{path} is no spool of Trailkeeper's.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Name a spool, or a new file.",
        )
    if version > VERSION:
        raise ConfigurationError(
            f"The spool {path} was written by a newer Trailkeeper (version {version}; this one knows {VERSION}).",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Run the newer version until the spool is empty.",
        )


def _lock(path: Path) -> int:
    """Take the spool for this process, until it ends however it ends: two logs must not have one name."""
    try:
        handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The spool {path} can't be opened: {error.strerror}.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Name a file in a folder that exists and that this user may write.",
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ConfigurationError(
            f"The spool {path} is in use by another process.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Give each ingest instance a spool of its own, or go through the running one with --url.",
        ) from None
    return handle


class Batch(NamedTuple):
    """One committed row: the events of one commit, numbered from `first`."""

    first: int
    documents: Sequence[Document]
    bytes: int


class Spool:
    """The log of one ingest instance. Thread-safe; one process at a time (it holds the file's lock).

    `high_water` is in bytes of events waiting for the engine.
    """

    def __init__(
        self, path: Path, *, log_id: str | None = None, dedupe_window: int = 1_000_000, high_water: int = 1 << 30
    ) -> None:
        require_sound_sqlite(apsw.sqlite_lib_version())
        self.path = path
        self._window = dedupe_window
        self._high_water = high_water
        self._lock = threading.Lock()
        self.arrived = threading.Condition()
        """Notified when there is more for the relay."""
        self._wal_pages = 0
        self._lock_file = _lock(path)
        try:
            self._db = open_file(path, make=True)
            try:
                self._open_schema(log_id)
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            os.close(self._lock_file)
            raise
        self._db.set_wal_hook(self._note_wal)
        self.log_id: str
        self._next: int
        self.depth: int
        self.bytes: int
        self.log_id, self._next = next(iter(self._db.execute("SELECT id, next FROM log")))
        self.depth, self.bytes = next(
            iter(self._db.execute("SELECT ifnull(sum(count), 0), ifnull(sum(bytes), 0) FROM batch"))
        )

    def append(self, candidates: Sequence[Candidate]) -> Sequence[Appended]:
        """Commit the new ones among the candidates. Raises SpoolFull or DiskFull, with nothing committed."""
        with self._lock:
            if self.bytes > self._high_water:
                raise SpoolFull(
                    f"{self.depth:,} events wait for the engine.",
                    limit=self._high_water,
                    fix="Send it again later; the operator finds the reason at /readyz.",
                    retry_after=5,
                )
            with self._transaction():
                appended, size = self._append(candidates)
            created = sum(result.outcome is Outcome.CREATED for result in appended)
            self._next += created
            self.depth += created
            self.bytes += size
            self._checkpoint()
        if created:
            with self.arrived:
                self.arrived.notify_all()
        return appended

    @property
    def last(self) -> int:
        """The number of the newest event; -1 where there never was one."""
        return self._next - 1

    def read(self, after: int, max_bytes: int) -> Sequence[Batch]:
        """Return the next batches numbered above `after`, up to about `max_bytes`; at least one where there is any."""
        batches: list[Batch] = []
        size = 0
        with self._lock:
            for first, count, length, heads, bodies in self._db.execute(
                "SELECT first, count, bytes, heads, bodies FROM batch WHERE first > ? ORDER BY first", (after,)
            ):
                if batches and size + length > max_bytes:
                    break
                size += length
                documents = [
                    Document(id, organization_id, occurred_at, retention, body)
                    for (id, organization_id, occurred_at, retention), body in zip(
                        orjson.loads(heads), bodies.split(b"\n"), strict=True
                    )
                ]
                assert len(documents) == count
                batches.append(Batch(first, documents, length))
        return batches

    def settle(self, batches: Sequence[Batch], dead: Sequence[tuple[Document, str]] = ()) -> None:
        """Let go of batches whose every event the engine has, or that are buried here, in the same transaction."""
        now = format_instant(utc_now())
        with self._lock:
            with self._transaction():
                # The first of an id stands, here as everywhere; only what the engine says of it is news.
                self._db.executemany(
                    "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET error = excluded.error",
                    [(*document, error, now) for document, error in dead],
                )
                self._db.executemany("DELETE FROM batch WHERE first = ?", [(batch.first,) for batch in batches])
                self._db.execute("DELETE FROM seen WHERE number < ?", (self._next - self._window,))
            self.depth -= sum(len(batch.documents) for batch in batches)
            self.bytes -= sum(batch.bytes for batch in batches)
            self._checkpoint()

    def holds(self, number: int) -> bool:
        """Tell whether the event with this number is still waiting for the engine."""
        with self._lock:
            row = self._db.execute(
                "SELECT first + count FROM batch WHERE first <= ? ORDER BY first DESC LIMIT 1", (number,)
            ).fetchone()
        return row is not None and number < row[0]

    def oldest_age(self) -> float:
        """How long the oldest event has been waiting for the engine, in seconds; 0 where none is."""
        with self._lock:
            committed_at = self._db.execute("SELECT committed_at FROM batch ORDER BY first LIMIT 1").get
        return 0.0 if committed_at is None else max(0.0, (to_ms(utc_now()) - committed_at) / 1000)

    def dead_count(self) -> int:
        """How many dead letters there are."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM dead").get)

    def close(self) -> None:
        """Close the file; everything acknowledged is in it."""
        with self._lock:
            self._db.close()
            os.close(self._lock_file)

    def _append(self, candidates: Sequence[Candidate]) -> tuple[Sequence[Appended], int]:
        keys = [uuid.UUID(candidate.id).bytes for candidate in candidates]
        seen: dict[bytes, tuple[int, bytes]] = {
            row[0]: (row[1], row[2])
            for row in self._db.executemany("SELECT id, number, digest FROM seen WHERE id = ?", [(k,) for k in keys])
        }
        appended: list[Appended] = []
        fresh: list[tuple[int, bytes, bytes]] = []
        heads: list[tuple[str, str, int, str]] = []
        bodies: list[bytes] = []
        number = self._next
        for key, candidate in zip(keys, candidates, strict=True):
            digest = hashlib.blake2b(candidate.normal, digest_size=16).digest()
            if (before := seen.get(key)) is not None:
                outcome = Outcome.DUPLICATE if before[1] == digest else Outcome.CONFLICT
                appended.append(Appended(outcome, before[0]))
                continue
            seen[key] = (number, digest)
            fresh.append((number, key, digest))
            heads.append((candidate.id, candidate.organization_id, candidate.occurred_at, candidate.retention))
            bodies.append(stamp(candidate.normal, candidate.received_at, self.log_id, number, candidate.known))
            appended.append(Appended(Outcome.CREATED, number))
            number += 1
        size = 0
        if fresh:
            text = b"\n".join(bodies)
            size = len(text)
            self._db.executemany("INSERT INTO seen VALUES (?, ?, ?)", fresh)
            self._db.execute(
                "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)",
                (self._next, len(fresh), size, to_ms(utc_now()), orjson.dumps(heads), text),
            )
            self._db.execute("UPDATE log SET next = ?", (number,))
        return appended, size

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _engine_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # on a full disk SQLite has ended it already
                    self._db.execute("ROLLBACK")
                raise

    def _note_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the file. The commit before stands: a full disk can wait, a failed fsync can't."""
        if self._wal_pages < _CHECKPOINT_PAGES:
            return
        try:
            with _engine_errors():
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0
        except TrailkeeperError:
            pass

    def _open_schema(self, log_id: str | None) -> None:
        with self._db:
            version = self._db.pragma("user_version")
            if version == 0:
                self._db.execute(_SCHEMA)
                self._db.execute("INSERT INTO log VALUES (?, 0)", (log_id or f"log-{uuid.uuid4().hex[:12]}",))
                self._db.pragma("application_id", APPLICATION_ID)
                self._db.pragma("user_version", VERSION)
                return
        standing = self._db.execute("SELECT id FROM log").get
        if log_id is not None and log_id != standing:
            raise ConfigurationError(
                f"{self.path} is the spool of the log {standing!r}, not of {log_id!r}.",
                field="TRAILKEEPER_LOG_ID",
                fix="A spool keeps its log's name; give another log another file.",
            )


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Turn what can be survived into errors of ours; what passes is not to be survived (a failed read or fsync)."""
    try:
        yield
    except (apsw.FullError, apsw.IOError) as error:
        if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) not in _NO_ROOM:
            raise
        raise DiskFull("The spool's disk is full.", fix="Make room, then send it again.", retry_after=30) from None
    except apsw.BusyError:
        raise Unavailable(
            "Another process keeps the spool's file busy.", fix="Send it again later.", retry_after=1
        ) from None


# An I/O error that means "no room", rather than a disk that fails: a quota, or a file size limit.
_NO_ROOM = (apsw.SQLITE_IOERR_WRITE,)
# Pages of the write-ahead log after which it is copied into the file; SQLite's own choice.
_CHECKPOINT_PAGES = 1000
