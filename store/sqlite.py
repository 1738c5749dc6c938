"""The embedded engine: events, records and the log in one SQLite file.

What was acknowledged is in the file and synced; there is nothing between ingest and the store that could lose it. Several
processes may have the file open (a server and the command line): whatever must be decided once (a number in the log, whether
an id is new) is decided inside the write transaction.
"""

import contextlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw
import orjson

from audit import wire
from audit.instants import DAY_MS, EPOCH, to_ms
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
from store.sqlite_connections import Connections
from store.sqlite_deletion import delete_day
from store.sqlite_query import select
from store.sqlite_records import SqliteRecords
from store.sqlite_rows import INSERT, Row, count_days, id_bytes, id_text, read_fields


class SqliteStore:
    """A `Store`, with `Records` beside it, and a `Log`.

    `log_id` names the log of this instance; where None, one is made and kept in the file. Raises ConfigurationError where
    the file can't be used, and where SQLite itself can't be trusted with it.
    """

    def __init__(self, path: Path | str, *, log_id: str | None = None) -> None:
        self._path = Path(path).absolute()
        self._connections = Connections(self._path)
        self._writing, self._reading = self._connections.writing, self._connections.reading
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
        self._connections.require_sound()
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
                orjson.loads(document.body)  # not every caller has read it
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
            return Page([row[0] for row in rows], None)
        _, day, time, id = rows[limit - 1]
        return Page([row[0] for row in rows[:limit]], Position(day * DAY_MS + time, id_text(id)))

    def get(self, query: Query, id: str) -> bytes | None:
        """Return one event that the query's organization may see, or None."""
        try:
            key = id_bytes(id)
        except ValueError:
            return None
        floor = (None, None) if query.visible_from is None else divmod(to_ms(query.visible_from), DAY_MS)
        with self._reading() as connection:
            found: bytes | None = connection.execute(
                "SELECT body FROM events JOIN organizations USING (organization)"
                " WHERE events.id = ?1 AND organizations.id = ?2 AND (?3 IS NULL OR (day, time) >= (?3, ?4))",
                (key, query.organization_id, *floor),
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
        """Delete a day of a class in short transactions, writers in between; then give its pages back to the disk."""
        return delete_day(self._connections, retention, day)

    def close(self) -> None:
        """Close every connection; the last one to go leaves a file without a write-ahead log."""
        self._connections.close()

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
        bindings = self._connections.interned.bindings(rows, bodies)
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
