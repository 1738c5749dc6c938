"""growth: events/s into a large store ÷ into a small one, embedded: HTTP to searchable in SQLite.

Two `trailkeeper serve --only ingest`, each over a SQLite file that was filled beforehand, take the same load in turn:
500 events a request, 4 connections. By default 250,000 events are stored in the large one and 25,000 in the small
one; with --full 2,000,000 and 100,000, which is what the aim speaks of.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from audit.access import KeyScope
from bench.figures.ack_batch import send_to
from bench.figures.embedded import fill, our_requests
from bench.load import Worker
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import Server, ingest
from store.keys import Keys
from store.sqlite import SqliteStore

AIM = Aim(0.9, 0.8)


def measure(options: Options) -> list[Result]:
    """Measure with processes of our own."""
    large, small = (2_000_000, 100_000) if options.full else (options.events(250_000), options.events(25_000))
    count = options.events(20_000)
    with ExitStack() as stack:
        servers: dict[str, tuple[Server, str]] = {}
        for name, size in (("large", large), ("small", small)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            path = folder / "store.sqlite"
            store = SqliteStore(path)
            for part in range(0, size, 100_000):
                fill(store, 8000 + part, min(100_000, size - part))
                options.say(f"growth: {min(part + 100_000, size):,} of {size:,} stored")
            token = Keys(store.records).create(KeyScope.INGEST, None, "bench")[1]
            store.close()
            servers[name] = (stack.enter_context(ingest(f"sqlite:///{path}", folder)), token)
        worker = stack.enter_context(Worker())

        def side(name: str, number: int) -> Sample:
            server, token = servers[name]
            worker.prepare(our_requests, 800 + number, count, token)
            return send_to(server, worker, count, 4, ingest=server.pid)

        for name in servers:
            side(name, 99)
        notes = (f"{large:,} stored ÷ {small:,} stored; {count:,} events a round",)
        return [
            interleave(
                options,
                "growth",
                lambda number: side("large", number),
                lambda number: side("small", number),
                unit="events/s",
                aim=AIM,
                notes=notes,
            )
        ]
