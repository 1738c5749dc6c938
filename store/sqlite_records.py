"""The service's own small documents, in the same SQLite file as the events."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import apsw
import orjson

from audit.errors import Conflict
from store.protocol import Record
from store.retentions import KIND as RETENTION

Transaction = Callable[[], AbstractContextManager[apsw.Connection]]


class SqliteRecords:
    """Records in one table; `version` counts up over the whole table, so that a record made anew never repeats one."""

    def __init__(self, reading: Transaction, writing: Transaction) -> None:
        self._reading = reading
        self._writing = writing

    def get(self, kind: str, id: str) -> Record | None:
        """Return one, or None."""
        with self._reading() as connection:
            row = connection.execute("SELECT body, version FROM records WHERE (kind, id) = (?,?)", (kind, id)).get
        return None if row is None else Record(id, orjson.loads(row[0]), str(row[1]))

    def put(self, kind: str, id: str, body: Mapping[str, Any], *, version: str | None) -> Record:
        """Write one; raises Conflict where `version` is not what stands there."""
        content = orjson.dumps(body)
        with self._writing() as connection:
            standing = connection.execute("SELECT version FROM records WHERE (kind, id) = (?,?)", (kind, id)).get
            if (None if standing is None else str(standing)) != version:
                raise Conflict(
                    f"The {kind} {id!r} was changed by somebody else meanwhile.",
                    fix="Read it again, and write with its version.",
                )
            made = connection.execute(
                "INSERT INTO meta VALUES ('record_version', 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value"
            ).get
            connection.execute("INSERT OR REPLACE INTO records VALUES (?,?,?,?)", (kind, id, content, made))
            if kind == RETENTION:
                # Its stored events change class with it, at once: a day's class is its organization's.
                connection.execute("UPDATE organizations SET retention = ? WHERE id = ?", (body.get("retention"), id))
        return Record(id, orjson.loads(content), str(made))

    def delete(self, kind: str, id: str) -> None:
        """Remove one; nothing happens where there is none."""
        with self._writing() as connection:
            connection.execute("DELETE FROM records WHERE (kind, id) = (?,?)", (kind, id))

    def list(self, kind: str) -> Sequence[Record]:
        """Return all of a kind, by id."""
        with self._reading() as connection:
            rows = connection.execute("SELECT id, body, version FROM records WHERE kind = ? ORDER BY id", (kind,))
            return [Record(id, orjson.loads(body), str(version)) for id, body, version in rows]
