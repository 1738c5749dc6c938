"""rss: resident memory of ingest after many events and an outage of the node, MB over its start.

`trailkeeper serve --only ingest` over a node of our own. Half of the events are sent; the node is killed (SIGKILL);
the other half is sent while it is away; it starts again, and when it has every event the memory of ingest is read. By
default 200,000 events and 20 s; with --full 2,000,000 and 10 minutes, which is what the aim speaks of. `ratio` is the
MB themselves: there is no peer but ingest at its start, which is the column `peer`.
"""

import tempfile
import time
from datetime import date
from pathlib import Path

from bench.cluster import OURS, Cluster, started
from bench.figures.ingest_vs_bulk import our_requests
from bench.load import Worker, run_requests
from bench.measure import Aim, Options, Result
from bench.processes import Server, ingest, resident_mb
from store.names import day_index
from tests.nodes import NodeUnavailable

AIM = Aim(50, 100, lower_is_better=True)
_AT_ONCE = 50_000


def measure(options: Options) -> list[Result]:
    """Measure once."""
    count, away = (2_000_000, 600.0) if options.full else (options.events(200_000), 8.0 if options.quick else 20.0)
    try:
        with started(own=True) as cluster, tempfile.TemporaryDirectory(prefix="bench-") as folder, Worker() as worker:
            cluster.http.timeout = 120
            with ingest(cluster.store_url, Path(folder), spool_bytes=str(4 << 30)) as server:
                return [_measure(options, cluster, server, worker, count, away)]
    except NodeUnavailable as reason:
        return [Result("rss", "MB", AIM, skipped=str(reason))]


def _measure(options: Options, cluster: Cluster, server: Server, worker: Worker, count: int, away: float) -> Result:
    with cluster.fresh_day(OURS) as day:
        name = day_index(OURS, day)
        _send(cluster, server, worker, 7000, 100, day)  # what the first request loads is the start's
        cluster.wait_indexed(name, 100)
        at_start = resident_mb(server.pid)
        peak = at_start
        for half in range(2):
            if half:
                options.say(f"rss: the node goes away for {away:.0f} s")
                cluster.node.kill()
                gone = time.monotonic()
            for place in range(0, count // 2, _AT_ONCE):
                _send(
                    cluster,
                    server,
                    worker,
                    7001 + half * 1000 + place // _AT_ONCE,
                    min(_AT_ONCE, count // 2 - place),
                    day,
                )
                peak = max(peak, resident_mb(server.pid))
                options.say(
                    f"rss: {half * count // 2 + place + _AT_ONCE:,} sent, {peak - at_start:.0f} MB at most so far"
                )
        while time.monotonic() - gone < away:
            time.sleep(0.5)
            peak = max(peak, resident_mb(server.pid))
        cluster.node.start()
        # A node that was killed counts what it indexes from then on: how many are found is what tells.
        deadline = time.monotonic() + 600
        found = 0
        while found < count + 100 and time.monotonic() < deadline:
            time.sleep(0.5)
            cluster.http.post(f"/{name}/_refresh")
            found = cluster.http.get(f"/{name}/_count").json().get("count", 0)
            peak = max(peak, resident_mb(server.pid))
        at_end = resident_mb(server.pid)
    if found != count + 100:
        raise RuntimeError(f"{found:,} of {count + 100:,} events are there after the outage")
    over = at_end - at_start
    notes = (f"{count:,} events, {away:.0f} s without the node; {peak - at_start:.0f} MB over the start at the most",)
    return Result("rss", "MB over its start", AIM, over, at_start, over, 1, notes=notes)


def _send(cluster: Cluster, server: Server, worker: Worker, seed: int, count: int, day: date) -> None:
    worker.prepare(our_requests, seed, count, day, cluster.token)
    outcome = worker.run(run_requests, server.port, 4)
    if set(outcome.statuses) != {202}:
        raise RuntimeError(f"ingest answered {outcome.statuses}")
