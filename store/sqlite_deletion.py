"""How a day leaves an SQLite file: in short transactions, so that writers never wait long, and with nothing left behind."""

import time
from datetime import date
from typing import Any

import apsw

from audit.instants import EPOCH
from store.sqlite_connections import Connections

# Events that one transaction deletes: a writer waits for one such transaction at most, well under 50 ms.
_AT_ONCE = 250


def delete_day(connections: Connections, retention: str, day: date) -> int:
    """Delete one UTC day of a class, then give its pages back to the disk; return how many events went.

    Between two transactions it rests as long as the last one took: a lock goes to whoever comes first, and a writer that
    waits would not be the first otherwise.
    """
    number = (day - EPOCH.date()).days
    deleted = 0
    while True:
        began = time.monotonic()
        with connections.writing() as connection:
            # Asked anew each time: the organization may have got another class, or a hold, since.
            organization: Any = connection.execute(
                "SELECT organization FROM days JOIN organizations USING (organization)"
                " WHERE day = ? AND retention = ? LIMIT 1",
                (number, retention),
            ).get
            if organization is None:
                break
            deleted += _delete_some(connection, organization, number)
        time.sleep(time.monotonic() - began)
    while True:
        began = time.monotonic()
        if not connections.give_back():
            return deleted
        time.sleep(time.monotonic() - began)


def _delete_some(connection: apsw.Connection, organization: int, day: int) -> int:
    """Delete a part of an organization's day, with the texts that only these events had."""
    rows: Any = connection.execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY by_time"
        " WHERE organization = ? AND day = ? LIMIT ?) RETURNING kind, actor",
        (organization, day, _AT_ONCE),
    ).fetchall()
    before = connection.total_changes()
    for table, numbers in (("kind", {kind for kind, _ in rows}), ("actor", {actor for _, actor in rows})):
        connection.executemany(
            f"DELETE FROM {table}s WHERE {table} = ?2 AND NOT EXISTS"  # noqa: S608 no input
            f" (SELECT 1 FROM days CROSS JOIN events INDEXED BY by_{table} USING (day, organization)"
            f" WHERE organization = ?1 AND {table} = ?2)",
            [(organization, number) for number in numbers],
        )
    if connection.total_changes() > before:
        connection.execute("INSERT INTO meta VALUES ('generation', 1) ON CONFLICT DO UPDATE SET value = value + 1")
    if len(rows) < _AT_ONCE:
        connection.execute("DELETE FROM days WHERE (organization, day) = (?,?)", (organization, day))
    else:
        connection.execute(
            "UPDATE days SET events = events - ? WHERE (organization, day) = (?,?)", (len(rows), organization, day)
        )
    return len(rows)
