"""ingest_vs_bulk: HTTP to indexed in OpenSearch ÷ raw `_bulk` of the same bytes into the same node.

Ours: `trailkeeper serve --only ingest` as a process; a client in another sends NDJSON of 500 events a request over 4
connections; the clock stops when the node has indexed the last one. Everything is on: keys, validation, the durable spool,
two `_bulk` in flight. The peer: the very bytes ingest would store, with the same ids, as `_bulk` requests made beforehand,
over 2 connections, into an index of the same settings. Which size of request suits the node best (500 events, or the 5 MiB
of the relay) is tried first, and the better one is the peer.
"""

import tempfile
from pathlib import Path

from bench.cluster import OURS, THEIRS, Cluster, bulk_requests, port_of
from bench.events import batches, events
from bench.load import Outcome, Worker, requests, run_requests
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import Cpu, Server, ingest
from store.names import day_index

AIM = Aim(0.90, 0.75)
_FIVE_MIB = 6_000  # events of about 850 bytes with their `_bulk` lines


def our_requests(seed: int, count: int, day: object, token: str) -> list[bytes]:
    """What the client sends."""
    return requests(batches(events(seed, count, day), 500), path="/v1/events", token=token)  # type: ignore[arg-type]


def ours_once(cluster: Cluster, server: Server, worker: Worker, seed: int, count: int) -> Sample:
    """Send events through ingest, until the node has them all."""
    with cluster.fresh_day(OURS) as day:
        worker.prepare(our_requests, seed, count, day, cluster.token)
        cpu = Cpu(ingest=server.pid, **cluster.pids)
        began = _now()
        outcome: Outcome = worker.run(run_requests, server.port, 4)
        ended = cluster.wait_indexed(day_index(OURS, day), count)
        if set(outcome.statuses) != {202}:
            raise RuntimeError(f"ingest answered {outcome.statuses}")
        return Sample(count / (ended - began), cpu.since(client=outcome.cpu))


def bulk_once(cluster: Cluster, worker: Worker, seed: int, count: int, size: int) -> Sample:
    """Send the same as raw `_bulk`."""
    with cluster.fresh_day(THEIRS) as day:
        worker.prepare(bulk_requests, seed, count, day, size)
        cpu = Cpu(**cluster.pids)
        began = _now()
        outcome: Outcome = worker.run(run_requests, port_of(cluster.node.url), 2)
        ended = cluster.wait_indexed(day_index(THEIRS, day), count)
        return Sample(count / (ended - began), cpu.since(client=outcome.cpu))


def _now() -> float:
    import time

    return time.perf_counter()


def measure(options: Options, cluster: Cluster) -> list[Result]:
    """Measure on the run's node."""
    count = options.events(60_000)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Worker() as worker,
        ingest(cluster.store_url, Path(name)) as server,
    ):
        # Once each to warm up: the JVM compiles what it runs often.
        ours_once(cluster, server, worker, 9000, count)
        tried = {
            size: max(bulk_once(cluster, worker, 9001 + place, count, size).value for place in range(2))
            for size in (500, _FIVE_MIB)
        }
        best = max(tried, key=lambda size: tried[size])
        return [
            interleave(
                options,
                "ingest_vs_bulk",
                lambda number: ours_once(cluster, server, worker, number, count),
                lambda number: bulk_once(cluster, worker, number, count, best),
                unit="events/s",
                aim=AIM,
                notes=(
                    f"{count:,} events a round",
                    f"raw _bulk of {best} events a request, the better of "
                    + ", ".join(f"{size}: {value:,.0f}/s" for size, value in tried.items()),
                ),
            )
        ]
