"""ingest_vs_helpers: HTTP to indexed ÷ the better of opensearch-py's streaming_bulk and parallel_bulk.

Ours as in ingest_vs_bulk. The peer is what an application would otherwise write: the helpers with their default of
500 events a request, given dicts that were made beforehand, parallel_bulk with two threads; without HTTP before it,
without a disk, without validation.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cluster import THEIRS, Cluster, as_dicts
from bench.figures.ingest_vs_bulk import ours_once
from bench.load import Worker, cpu_of_this_process
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import Cpu, ingest
from store.names import day_index

AIM = Aim(1.6, 1.3)


def run_helper(documents: Sequence[dict[str, Any]], url: str, name: str) -> float:
    """Index the documents with one of the helpers, in the load process; give its CPU seconds."""
    from opensearchpy import OpenSearch, helpers

    before = cpu_of_this_process()
    with OpenSearch([url], timeout=60) as client:
        if name == "parallel_bulk":
            done = sum(good for good, _ in helpers.parallel_bulk(client, documents, thread_count=2, chunk_size=500))
        else:
            done = sum(good for good, _ in helpers.streaming_bulk(client, documents, chunk_size=500))
    if done != len(documents):
        raise RuntimeError(f"{name} indexed {done} of {len(documents)}")
    return cpu_of_this_process() - before


def helper_once(cluster: Cluster, worker: Worker, seed: int, count: int, name: str) -> Sample:
    """Index with a helper, until the node has them all."""
    with cluster.fresh_day(THEIRS) as day:
        worker.prepare(as_dicts, seed, count, day)
        cpu = Cpu(**cluster.pids)
        began = time.perf_counter()
        taken = worker.run(run_helper, cluster.node.url, name)
        ended = cluster.wait_indexed(day_index(THEIRS, day), count)
        return Sample(count / (ended - began), cpu.since(helper=taken))


def measure(options: Options, cluster: Cluster) -> list[Result]:
    """Measure on the run's node."""
    count = options.events(40_000)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Worker() as worker,
        ingest(cluster.store_url, Path(folder)) as server,
    ):
        ours_once(cluster, server, worker, 9100, count)
        tried = {
            name: max(helper_once(cluster, worker, 9101 + place, count, name).value for place in range(2))
            for name in ("streaming_bulk", "parallel_bulk")
        }
        best = max(tried, key=lambda name: tried[name])
        told = ", ".join(f"{name} {value:,.0f}/s" for name, value in tried.items())
        return [
            interleave(
                options,
                "ingest_vs_helpers",
                lambda number: ours_once(cluster, server, worker, 100 + number, count),
                lambda number: helper_once(cluster, worker, 100 + number, count, best),
                unit="events/s",
                aim=AIM,
                notes=(f"{count:,} events a round", f"the peer is {best}, the better of {told}"),
            )
        ]
