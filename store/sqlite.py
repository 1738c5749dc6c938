"""The embedded engine: events, records and the log in one SQLite file.

What was acknowledged is in the file and synced; there is nothing between ingest and the store that could lose it. One
connection writes, under a lock, and any number read; in WAL mode neither waits for the other. Several processes may have the
file open (a server and the command line): whatever must be decided once (a number in the log, whether an id is new) is
decided inside the write transaction.
"""

import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw

from audit import wire
from audit.errors import StoreUnavailable
from audit.instants import DAY_MS, EPOCH
from audit.query import Query
from store import sqlite_facets
from store.names import day_index
from store.protocol import (
    Appended,
    Candidate,
    DayPartition,
    Document,
    Facets,
    Outcome,
    Page,
    Position,
    Records,
    Written,
)
from store.same import same_event
from store.sqlite_file import engine_errors, is_sync_failure, open_file, open_reader
from store.sqlite_query import select
from store.sqlite_records import SqliteRecords
from store.sqlite_rows import INSERT, Interned, Row, count_days, id_bytes, id_text, read_fields

# Pages of the write-ahead log after which a commit copies them into the file; 1,000 is SQLite's own choice for 4 KiB ones.
_CHECKPOINT_PAGES = 1000
# Events a transaction deletes: a writer waits for one such transaction at most, well under 50 ms.
_DELETE_AT_ONCE = 250
_VACUUM_PAGES = 128


class SqliteStore:
    """A `Store`, with `Records` beside it, and a `Log`.

    `log_id` names the log of this instance; where None, one is made and kept in the file. Raises ConfigurationError where
    the file can't be used, and where SQLite itself can't be trusted with it.
    """

    def __init__(self, path: Path | str, *, log_id: str | None = None) -> None:
        self._path = Path(path).absolute()
        self._lock = threading.Lock()
        self._readers: deque[apsw.Connection] = deque()
        self._broken: str | None = None
        self._closed = False
        self._wal_pages = 0
        with engine_errors(self._path):
            self._writer = open_file(self._path)
            self._writer.set_wal_hook(self._note_wal)
        self._interned = Interned(self._writer)
        self._records = SqliteRecords(self._reading, self._writing)
        self._log_id = self._name_log(log_id)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def log_id(self) -> str:
        """The log's name: `log.id` of every event that `append` took."""
        return self._log_id

    @property
    def records(self) -> Records:
        """The service's own documents, in the same file."""
        return self._records

    def prepare(self) -> None:
        """Nothing is left to do: the file and its schema were made when it was opened."""

    def check(self) -> None:
        """Return if the file can be read and is not known to be unsafe. Raises StoreUnavailable."""
        self._require_sound()
        with self._reading() as connection:
            connection.execute("SELECT 1 FROM meta").get  # noqa: B018 the property runs the statement

    def append(self, candidates: Sequence[Candidate]) -> Sequence[Appended]:
        """Number, stamp and commit the new ones; see `store.protocol.Log`."""
        rows = [Row(*candidate[:4], candidate.normal, read_fields(candidate.normal)) for candidate in candidates]
        with contextlib.suppress(apsw.ConstraintError), self._writing() as connection:
            first = self._next_number(connection, len(rows))
            self._insert(connection, rows, self._stamped(candidates, first))
            return [Appended(Outcome.CREATED, first + offset) for offset in range(len(rows))]
        # Some id is not new. Only now is each looked up: it is rare, and a lookup costs as much as an insert.
        with self._writing() as connection:
            outcomes = self._compare(connection, rows, lambda stored, row: wire.unstamp(stored) == row.body)
            new = [place for place, outcome in enumerate(outcomes) if outcome is Outcome.CREATED]
            first = self._next_number(connection, len(new))
            stamped = self._stamped([candidates[place] for place in new], first)
            self._insert(connection, [rows[place] for place in new], stamped)
            numbers = {place: first + offset for offset, place in enumerate(new)}
        return [Appended(outcome, numbers.get(place)) for place, outcome in enumerate(outcomes)]

    def write(self, documents: Sequence[Document], *, searchable: bool = False) -> Sequence[Written]:
        """Write stamped documents; on return they are durable and a search finds them, asked or not."""
        results: dict[int, Written] = {}
        rows: dict[int, Row] = {}
        for place, document in enumerate(documents):
            try:
                id_bytes(document.id)
                rows[place] = Row(*document, read_fields(document.body))
            except (ValueError, TypeError) as error:
                results[place] = Written(Outcome.REFUSED, f"It can't be read: {error}.")
        outcomes = self._write(list(rows.values()))
        results |= {place: Written(outcome) for place, outcome in zip(rows, outcomes, strict=True)}
        return [results[place] for place in range(len(documents))]

    def search(self, query: Query, *, limit: int, after: Position | None = None) -> Page:
        """Return a page; see `store.protocol.Store`."""
        with self._reading() as connection:
            selection = select(connection, query)
            if selection is None:
                return Page([], None)
            rows: Any = connection.execute(*selection.page(limit + 1, after)).fetchall()
        if len(rows) <= limit:
            return Page([body for body, _, _ in rows], None)
        _, occurred_at, id = rows[limit - 1]
        return Page([body for body, _, _ in rows[:limit]], Position(occurred_at, id_text(id)))

    def get(self, query: Query, id: str) -> bytes | None:
        """Return one event that the query's organization may see, or None."""
        try:
            key = id_bytes(id)
        except ValueError:
            return None
        floor = None if query.visible_from is None else (query.visible_from - EPOCH) // timedelta(milliseconds=1)
        with self._reading() as connection:
            found: bytes | None = connection.execute(
                "SELECT body FROM events JOIN organizations USING (organization)"
                " WHERE events.id = ?1 AND organizations.id = ?2 AND (?3 IS NULL OR occurred_at >= ?3)",
                (key, query.organization_id, floor),
            ).get
        return found

    def count(self, query: Query) -> int:
        """Count the events that match."""
        with self._reading() as connection:
            selection = select(connection, query)
            return 0 if selection is None else int(connection.execute(*selection.counted()).get)

    def facets(self, query: Query, *, size: int) -> Facets:
        """Count what occurs under a query."""
        with self._reading() as connection:
            selection = select(connection, query)
            return Facets() if selection is None else sqlite_facets.facets(connection, selection, size)

    def days(self) -> Sequence[DayPartition]:
        """List the days that are held, oldest first. SQLite can't tell bytes by day."""
        with self._reading() as connection:
            rows: Any = connection.execute(
                "SELECT day, retention, sum(events) FROM days JOIN organizations USING (organization)"
                " GROUP BY day, retention ORDER BY day, retention"
            ).fetchall()
        return [
            DayPartition(retention, day, events, None, day_index(retention, day))
            for number, retention, events in rows
            for day in [(EPOCH + timedelta(days=number)).date()]
        ]

    def delete_day(self, retention: str, day: date) -> int:
        """Delete a day of a class in short transactions, then give its pages back to the disk.

        Between two transactions it rests as long as the last one took, so that writers have their turn.
        """
        number = (day - EPOCH.date()).days
        deleted = 0
        while True:
            began = time.monotonic()
            with self._writing() as connection:
                # Asked anew each time: the organization may have got another class, or a hold, since.
                organization = connection.execute(
                    "SELECT organization FROM days JOIN organizations USING (organization)"
                    " WHERE day = ? AND retention = ? LIMIT 1",
                    (number, retention),
                ).get
                if organization is None:
                    break
                deleted += _delete_some(connection, organization, number)
            time.sleep(time.monotonic() - began)
        self._give_back()
        return deleted

    def close(self) -> None:
        """Close every connection; the last one to go leaves a file without a write-ahead log."""
        with self._lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._writer.close()

    def _write(self, rows: Sequence[Row]) -> Sequence[Outcome]:
        with contextlib.suppress(apsw.ConstraintError), self._writing() as connection:
            self._insert(connection, rows, (row.body for row in rows))
            return [Outcome.CREATED] * len(rows)
        with self._writing() as connection:
            outcomes = self._compare(connection, rows, lambda stored, row: same_event(stored, row.body))
            new = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome is Outcome.CREATED]
            self._insert(connection, new, (row.body for row in new))
        return outcomes

    def _insert(self, connection: apsw.Connection, rows: Sequence[Row], bodies: Iterable[bytes]) -> None:
        bindings = list(map(self._interned.bindings, rows, bodies))
        connection.executemany(INSERT, bindings)
        count_days(connection, bindings)

    def _stamped(self, candidates: Sequence[Candidate], first: int) -> list[bytes]:
        return [
            wire.stamp(candidate.normal, candidate.received_at, self._log_id, number, candidate.known)
            for number, candidate in enumerate(candidates, first)
        ]

    def _compare(self, connection: apsw.Connection, rows: Sequence[Row], same: Any) -> list[Outcome]:
        """Tell new ids from known ones, those of this very call included."""
        outcomes: list[Outcome] = []
        here: dict[str, bytes] = {}
        for row in rows:
            stored = connection.execute("SELECT body FROM events WHERE id = ?", (id_bytes(row.id),)).get
            if stored is not None:
                outcomes.append(Outcome.DUPLICATE if same(stored, row) else Outcome.CONFLICT)
            elif row.id in here:
                outcomes.append(Outcome.DUPLICATE if same_event(here[row.id], row.body) else Outcome.CONFLICT)
            else:
                here[row.id] = row.body
                outcomes.append(Outcome.CREATED)
        return outcomes

    def _next_number(self, connection: apsw.Connection, count: int) -> int:
        following: int = connection.execute(
            "UPDATE logs SET next = next + ? WHERE id = ? RETURNING next", (count, self._log_id)
        ).get
        return following - count

    def _name_log(self, log_id: str | None) -> str:
        with self._writing() as connection:
            if log_id is None:
                log_id = connection.execute("SELECT value FROM meta WHERE name = 'log_id'").get
            if log_id is None:
                log_id = f"log-{secrets.token_hex(6)}"
                connection.execute("INSERT INTO meta VALUES ('log_id', ?)", (log_id,))
            connection.execute("INSERT OR IGNORE INTO logs VALUES (?, 0)", (log_id,))
        return log_id

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """One write transaction: committed and synced on leaving, rolled back on any error."""
        with self._lock, engine_errors(self._path):
            self._require_sound()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._interned.begin()
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                self._interned.forget()
                self._note_failure(error)
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            if self._wal_pages >= _CHECKPOINT_PAGES:
                self._checkpoint()

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """One snapshot, on a connection of its own while it lasts."""
        with engine_errors(self._path):
            if self._closed:
                raise StoreUnavailable(f"{self._path} was closed.")
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = open_reader(self._path)
            try:
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    connection.execute("ROLLBACK")
            finally:
                self._readers.append(connection)

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the file.

        The commit before it stands, so a full disk can wait for the next time; a failed fsync can't.
        """
        try:
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0
        except (apsw.BusyError, apsw.FullError, apsw.IOError) as error:
            self._note_failure(error)

    def _give_back(self) -> None:
        """Hand free pages at the end of the file back to the file system, a few at a time."""
        while True:
            began = time.monotonic()
            with self._lock, engine_errors(self._path):
                self._require_sound()
                free = self._writer.pragma("freelist_count")
                if free:
                    self._writer.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
                if self._wal_pages >= _CHECKPOINT_PAGES or not free:
                    self._checkpoint()
            if not free:
                return
            time.sleep(time.monotonic() - began)

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _note_failure(self, error: BaseException) -> None:
        if isinstance(error, apsw.Error) and is_sync_failure(error):
            self._broken = str(error)

    def _require_sound(self) -> None:
        if self._broken is not None:
            raise StoreUnavailable(
                f"A sync of {self._path} failed ({self._broken}), so nothing more is written to it.",
                fix="Check the disk, then restart: what was acknowledged is recovered from the file.",
            )
        if self._closed:
            raise StoreUnavailable(f"{self._path} was closed.")


def _delete_some(connection: apsw.Connection, organization: int, day: int) -> int:
    """Delete a part of an organization's day, with the texts that only these events had."""
    rows: Any = connection.execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY by_time"
        " WHERE organization = ? AND occurred_at >= ? AND occurred_at < ? LIMIT ?) RETURNING kind, actor",
        (organization, day * DAY_MS, (day + 1) * DAY_MS, _DELETE_AT_ONCE),
    ).fetchall()
    before = connection.total_changes()
    for table, numbers in (("kind", {kind for kind, _ in rows}), ("actor", {actor for _, actor in rows})):
        connection.executemany(
            f"DELETE FROM {table}s WHERE {table} = ?2 AND NOT EXISTS"  # noqa: S608 no input
            f" (SELECT 1 FROM events WHERE organization = ?1 AND {table} = ?2)",
            [(organization, number) for number in numbers],
        )
    if connection.total_changes() > before:
        connection.execute("INSERT INTO meta VALUES ('generation', 1) ON CONFLICT DO UPDATE SET value = value + 1")
    if len(rows) < _DELETE_AT_ONCE:
        connection.execute("DELETE FROM days WHERE (organization, day) = (?,?)", (organization, day))
    else:
        connection.execute(
            "UPDATE days SET events = events - ? WHERE (organization, day) = (?,?)", (len(rows), organization, day)
        )
    return len(rows)
