"""bytes: what an event takes on disk ÷ its NDJSON as the application sent it, in each engine.

bytes_opensearch: the day index from our template, after a flush and no force merge (the node's own merges as they came; one
shard, no replica); the note says what a force merge makes of it. bytes_sqlite: the whole file after its write-ahead log was
copied in, every index and interned text included, no VACUUM. Both hold what ingest adds to an event too.
"""

import tempfile
from pathlib import Path

from bench.cluster import THEIRS, Cluster, bulk_requests, port_of
from bench.events import events
from bench.figures.embedded import fill
from bench.load import Worker, run_requests
from bench.measure import Aim, Options, Result
from store.names import day_index
from store.sqlite import SqliteStore

AIM = Aim(0.6, 0.6, lower_is_better=True)
SQLITE = Aim(1.5, 1.5, lower_is_better=True)


def measure(options: Options, cluster: Cluster | None) -> list[Result]:
    """Measure once: bytes have no noise."""
    count = options.events(100_000)
    sent = sum(map(len, events(600, count))) + count
    results = [_sqlite(options, count, sent)]
    if cluster is not None:
        results.insert(0, _opensearch(options, cluster, count, sent))
    return results


def _opensearch(options: Options, cluster: Cluster, count: int, sent: int) -> Result:
    with cluster.fresh_day(THEIRS) as day, Worker() as worker:
        name = day_index(THEIRS, day)
        worker.prepare(bulk_requests, 600, count, day, 5000)
        worker.run(run_requests, port_of(cluster.node.url), 2)
        cluster.wait_indexed(name, count)
        cluster.http.post(f"/{name}/_flush?wait_if_ongoing=true").raise_for_status()
        flushed = cluster.stored_bytes(name)
        cluster.http.post(f"/{name}/_forcemerge?max_num_segments=1", timeout=600).raise_for_status()
        cluster.http.post(f"/{name}/_flush?wait_if_ongoing=true").raise_for_status()
        merged = cluster.stored_bytes(name)
    options.say(f"bytes_opensearch: {flushed / sent:.3f}")
    note = f"{count:,} events, flushed; {merged / sent:.3f} after a force merge to one segment"
    return Result(
        "bytes_opensearch", "bytes an event", AIM, flushed / count, sent / count, flushed / sent, 1, notes=(note,)
    )


def _sqlite(options: Options, count: int, sent: int) -> Result:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "store.sqlite"
        store = SqliteStore(path)
        fill(store, 600, count)
        store.close()
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    options.say(f"bytes_sqlite: {size / sent:.3f}")
    note = f"{count:,} events, the write-ahead log copied in"
    return Result("bytes_sqlite", "bytes an event", SQLITE, size / count, sent / count, size / sent, 1, notes=(note,))
