"""embedded: HTTP to searchable in SQLite ÷ bare executemany into the same schema.

Ours: `trailkeeper serve --only ingest` over a SQLite store, NDJSON of 500 events a request, 4 connections; an acknowledged
event is committed, synced and found by the next search. The peer: the very rows that the store made of these events, read
from a file of its own making, inserted by executemany into a file with the same schema, indices, page size, cache and
synchronous=FULL, with the interned texts there beforehand, checkpointed after 1,000 pages as ours is. Transactions of 500
rows (a request) and of 2,000 (what a group commit takes of 4 connections at most) are tried, and the better one is the peer.
Both files grow by the same events over the rounds.
"""

import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw

from audit.access import KeyScope, Writer
from audit.catalog import load_catalog
from audit.instants import utc_now
from audit.retention import Retention
from audit.wire import Limits
from bench.events import batches, events
from bench.figures.ack_batch import send_to
from bench.load import Worker, cpu_of_this_process, requests
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import ingest
from ingest.validate import Validator
from store.keys import Keys
from store.sqlite import SqliteStore
from store.sqlite_file import open_file

AIM = Aim(0.8, 0.6)
_INTERNED = ("organizations", "kinds", "actors")


class _NinetyDays:
    def of(self, organization_id: str) -> Retention:
        return Retention(90)


def our_requests(seed: int, count: int, token: str) -> list[bytes]:
    """What the client sends."""
    return requests(batches(events(seed, count), 500), path="/v1/events", token=token)


def fill(store: SqliteStore, seed: int, count: int) -> None:
    """Put events into a store as ingest does, without HTTP."""
    validator = Validator(load_catalog(), _NinetyDays(), Limits(), timedelta(minutes=5), utc_now)  # type: ignore[arg-type]
    lines = events(seed, count)
    for start in range(0, count, 500):
        reception = validator.reception(Writer("bench", None))
        store.append([reception.check(line) for line in lines[start : start + 500]])


def rows_of(seed: int, count: int, folder: str) -> tuple[list[tuple[Any, ...]], str]:
    """Have the store make its rows of these events, and read them back; the interned texts go to the peer's file."""
    path = Path(folder) / f"made-{seed}.sqlite"
    store = SqliteStore(path)
    fill(store, seed, count)
    store.close()
    made = apsw.Connection(str(path))
    columns = [row[1] for row in made.execute("PRAGMA table_info(events)") if row[1] != "seq"]
    rows: list[tuple[Any, ...]] = made.execute(f"SELECT {', '.join(columns)} FROM events ORDER BY rowid").fetchall()
    texts = {table: made.execute(f"SELECT * FROM {table}").fetchall() for table in _INTERNED}
    made.close()
    path.unlink()
    peer = _peer_file(folder)
    for table, found in texts.items():
        if found:
            peer.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(found[0]))})", found)
    peer.close()
    return rows, f"INSERT INTO events ({', '.join(columns)}) VALUES ({','.join('?' * len(columns))})"


def run_rows(ready: tuple[Sequence[tuple[Any, ...]], str], folder: str, batch: int) -> tuple[float, float]:
    """Insert them; give the seconds it took and the CPU seconds."""
    rows, insert = ready
    connection = _peer_file(folder)
    parts = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    before, began = cpu_of_this_process(), time.perf_counter()
    for part in parts:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, part)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    taken = cpu_of_this_process() - before
    connection.close()
    return seconds, taken


def _peer_file(folder: str) -> apsw.Connection:
    connection = open_file(Path(folder) / "peer.sqlite")
    connection.pragma("wal_autocheckpoint", 1000)
    return connection


def measure(options: Options) -> list[Result]:
    """Measure with processes of our own."""
    count = options.events(40_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Worker() as worker:
        path = Path(folder) / "store.sqlite"
        store = SqliteStore(path)
        _, token = Keys(store.records).create(KeyScope.INGEST, None, "bench")
        store.close()
        with ingest(f"sqlite:///{path}", Path(folder)) as server:

            def ours(number: int) -> Sample:
                worker.prepare(our_requests, 500 + number, count, token)
                return send_to(server, worker, count, 4, ingest=server.pid)

            def bare(number: int, batch: int) -> Sample:
                worker.prepare(rows_of, 500 + number, count, folder)
                seconds, taken = worker.run(run_rows, folder, batch)
                return Sample(count / seconds, {"executemany": taken})

            # An empty file says nothing of the batch: events of the same hours are to come between those that are there.
            for place in range(3):
                ours(9500 + place)
            bare(9500, 500)
            tried = {batch: bare(9501 + place, batch).value for place, batch in enumerate((500, 2000))}
            best = max(tried, key=lambda batch: tried[batch])
            return [
                interleave(
                    options,
                    "embedded",
                    ours,
                    lambda number: bare(number, best),
                    unit="events/s",
                    aim=AIM,
                    notes=(
                        f"{count:,} events a round, {3 * count:,} in both files before",
                        f"executemany of {best} rows a transaction, the better of "
                        + ", ".join(f"{batch}: {value:,.0f}/s" for batch, value in tried.items()),
                    ),
                )
            ]
