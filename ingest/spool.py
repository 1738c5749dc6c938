"""The spool: where ingest commits events before OpenSearch has them, and the log that numbers them.

One SQLite file through apsw (which brings its own current SQLite; the standard library's can be years old): WAL,
synchronous=FULL, one row for each commit rather than one for each event. Rows leave once the engine has every event of
them. The ids of the last `dedupe_window` events stay, so that most duplicates are answered without the engine; older ones
the engine recognises.
"""

import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from audit.errors import ConfigurationError, DiskFull, SpoolFull, TrailkeeperError, Unavailable
from audit.instants import format_instant, to_ms, utc_now
from audit.wire import stamp
from ingest.salvage import intact
from ingest.spool_file import digest_of, insert_batch, lock, make_schema, open_file, salvage
from store.protocol import Appended, Candidate, Document, Outcome
from store.sqlite_file import NO_ROOM, require_sound_sqlite

# What a NamedTuple's own constructor does behind a call into Python, in half the time.
_new: Any = tuple.__new__


class Batch(NamedTuple):
    """One committed row: the events of one commit, numbered from `first`."""

    first: int
    documents: Sequence[Document]
    bytes: int


class Damaged(Exception):
    """The spool's file is not what was written; the next start salvages it."""


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
        self._lock_file = lock(path)
        try:
            salvage(path, log_id)
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
            keys = [bytes.fromhex(candidate.id.replace("-", "")) for candidate in candidates]
            digests = [digest_of(candidate.normal) for candidate in candidates]
            try:
                with self._transaction():
                    size = self._insert(candidates, keys, digests)
                numbers = range(self._next, self._next + len(candidates))
                appended: Sequence[Appended] = [_new(Appended, (Outcome.CREATED, number)) for number in numbers]
            except apsw.ConstraintError:
                # Some id is not new. Only now is each looked up: it is rare, and a lookup costs as much as an insert.
                with self._transaction():
                    appended, size = self._insert_new(candidates, keys, digests)
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
    def first(self) -> int:
        """The number of the oldest event that waits; that of the next event where none does."""
        with self._lock:
            number = self._db.execute("SELECT min(first) FROM batch").get
        return self._next if number is None else int(number)

    def unreported(self) -> Sequence[tuple[str, str]]:
        """What was rescued and isn't on the trail yet: the id of the event that says so, and its details as JSON."""
        with self._lock:
            return [(id, details) for id, details in self._db.execute("SELECT id, details FROM salvage")]

    def reported(self, id: str) -> None:
        """It is on the trail now."""
        with self._lock, self._transaction():
            self._db.execute("DELETE FROM salvage WHERE id = ?", (id,))

    @property
    def last(self) -> int:
        """The number of the newest event; -1 where there never was one."""
        return self._next - 1

    def read(self, after: int, max_bytes: int) -> Sequence[Batch]:
        """Return the next batches numbered above `after`, up to about `max_bytes`; at least one where there is any.

        Raises Damaged where they are not what was written.
        """
        try:
            return self._read_batches(after, max_bytes)
        except apsw.CorruptError as error:
            raise Damaged(f"SQLite can't read it: {error}") from error

    def _read_batches(self, after: int, max_bytes: int) -> Sequence[Batch]:
        batches: list[Batch] = []
        size = 0
        with self._lock:
            for first, count, length, heads, text, crc, sums in self._db.execute(
                "SELECT first, count, bytes, heads, bodies, crc, sums FROM batch WHERE first > ? ORDER BY first",
                (after,),
            ):
                if batches and size + length > max_bytes:
                    break
                bodies = text.split(b"\n")
                if not intact(heads, bodies, crc, sums):
                    raise Damaged(f"the batch from number {first} on is not what was written")
                size += length
                documents = [
                    _new(Document, (*head, body)) for head, body in zip(orjson.loads(heads), bodies, strict=True)
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

    def _insert_new(
        self, candidates: Sequence[Candidate], keys: Sequence[bytes], digests: Sequence[bytes]
    ) -> tuple[Sequence[Appended], int]:
        """Write those whose ids are new, among themselves too; the first of an id stands."""
        seen: dict[bytes, tuple[int, bytes]] = {
            row[0]: (row[1], row[2])
            for row in self._db.executemany("SELECT id, number, digest FROM seen WHERE id = ?", [(k,) for k in keys])
        }
        appended: list[Appended] = []
        fresh: list[int] = []
        for place, (key, digest) in enumerate(zip(keys, digests, strict=True)):
            if (before := seen.get(key)) is not None:
                outcome = Outcome.DUPLICATE if before[1] == digest else Outcome.CONFLICT
                appended.append(Appended(outcome, before[0]))
            else:
                seen[key] = (self._next + len(fresh), digest)
                appended.append(Appended(Outcome.CREATED, self._next + len(fresh)))
                fresh.append(place)
        if not fresh:
            return appended, 0
        size = self._insert(
            [candidates[place] for place in fresh],
            [keys[place] for place in fresh],
            [digests[place] for place in fresh],
        )
        return appended, size

    def _insert(self, candidates: Sequence[Candidate], keys: Sequence[bytes], digests: Sequence[bytes]) -> int:
        """Write one batch; return its size. Raises ConstraintError where an id is known."""
        first = self._next
        following = first + len(candidates)
        self._db.executemany(
            "INSERT INTO seen VALUES (?, ?, ?)", zip(range(first, following), keys, digests, strict=True)
        )
        bodies = [
            stamp(candidate.normal, candidate.received_at, self.log_id, number, candidate.known)
            for number, candidate in enumerate(candidates, first)
        ]
        size = insert_batch(self._db, first, [candidate[:4] for candidate in candidates], bodies)
        self._db.execute("UPDATE log SET next = ?", (following,))
        return size

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
            if self._db.pragma("user_version") == 0:
                make_schema(self._db, log_id or f"log-{uuid.uuid4().hex[:12]}")
                return
        standing = self._db.execute("SELECT id FROM log").get
        # A salvage begins a new log: `name.r1` after `name`.
        if log_id is not None and log_id != standing and not standing.startswith(f"{log_id}.r"):
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
        if isinstance(error, apsw.IOError) and getattr(error, "extendedresult", None) not in NO_ROOM:
            raise
        raise DiskFull("The spool's disk is full.", fix="Make room, then send it again.", retry_after=30) from None
    except apsw.BusyError:
        raise Unavailable(
            "Another process keeps the spool's file busy.", fix="Send it again later.", retry_after=1
        ) from None


# Pages of the write-ahead log after which it is copied into the file; SQLite's own choice.
_CHECKPOINT_PAGES = 1000
