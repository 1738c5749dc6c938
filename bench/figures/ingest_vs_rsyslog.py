"""ingest_vs_rsyslog: HTTP to indexed ÷ rsyslog's omelasticsearch in bulk mode (Debian's rsyslog-elasticsearch).

Ours as in ingest_vs_bulk. rsyslogd takes the same stored bytes over TCP on loopback (imptcp), keeps them in memory, and
writes them with `create` and the event's id, 2 workers, up to 2,000 events a batch. It checks nothing and syncs nothing.
Skipped where rsyslogd with that module isn't installed.
"""

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from subprocess import DEVNULL, Popen

from bench.cluster import THEIRS, Cluster, port_of, stored
from bench.events import events
from bench.figures.ingest_vs_bulk import ours_once
from bench.load import Worker
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import Cpu, free_port, ingest
from store.names import day_index

AIM = Aim(1.35, 1.1)
_MODULES = (
    "/usr/lib/x86_64-linux-gnu/rsyslog",
    "/usr/lib/aarch64-linux-gnu/rsyslog",
    "/usr/lib/rsyslog",
    "/usr/lib64/rsyslog",
)
_BATCH = 2000
_CONFIGURATION = """\
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imptcp")
module(load="omelasticsearch")
template(name="body" type="string" string="%rawmsg%")
template(name="id" type="string" string="%rawmsg:8:43%")
main_queue(queue.type="LinkedList" queue.size="500000" queue.dequeueBatchSize="{batch}" queue.workerThreads="2"
           queue.workerThreadMinimumMessages="1000")
input(type="imptcp" address="127.0.0.1" port="{port}")
action(type="omelasticsearch" server="127.0.0.1" serverport="{node}" searchIndex="{index}" searchType="" bulkmode="on"
       writeoperation="create" bulkid="id" dynbulkid="on" template="body" errorFile="{folder}/errors"
       action.resumeRetryCount="-1")
"""


def missing() -> str | None:
    """Say why rsyslog can't be measured here, if it can't."""
    if shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        return "rsyslogd is not installed (Debian: apt-get install rsyslog-elasticsearch)"
    if not any((Path(folder) / "omelasticsearch.so").exists() for folder in _MODULES):
        return "rsyslogd has no omelasticsearch (Debian: apt-get install rsyslog-elasticsearch)"
    return None


@contextmanager
def rsyslog(cluster: Cluster, index: str) -> Iterator[tuple[int, int]]:
    """Run rsyslogd with a configuration of our own; give its port and process id."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        configuration = Path(folder) / "rsyslog.conf"
        configuration.write_text(
            _CONFIGURATION.format(folder=folder, port=port, node=port_of(cluster.node.url), index=index, batch=_BATCH)
        )
        program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert program is not None
        process = Popen(
            [program, "-n", "-f", str(configuration), "-i", f"{folder}/pid"],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


def lines_of(seed: int, count: int, day: date) -> bytes:
    """The stored bytes, a line each."""
    return b"\n".join(stored(events(seed, count, day))) + b"\n"


def run_lines(text: bytes, port: int) -> None:
    """Send them over one connection, as fast as they are taken."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(text)


def rsyslog_once(cluster: Cluster, worker: Worker, seed: int, count: int) -> Sample:
    """Send lines to rsyslog, until the node has them all."""
    with cluster.fresh_day(THEIRS) as day:
        name = day_index(THEIRS, day)
        worker.prepare(lines_of, seed, count, day)
        with rsyslog(cluster, name) as (port, pid):
            cpu = Cpu(rsyslog=pid, **cluster.pids)
            began = time.perf_counter()
            worker.run(run_lines, port)
            ended = cluster.wait_indexed(name, count, seconds=120)
            return Sample(count / (ended - began), cpu.since())


def measure(options: Options, cluster: Cluster) -> list[Result]:
    """Measure on the run's node."""
    if (why := missing()) is not None:
        return [Result("ingest_vs_rsyslog", "events/s", AIM, skipped=why)]
    count = options.events(40_000)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Worker() as worker,
        ingest(cluster.store_url, Path(folder)) as server,
    ):
        ours_once(cluster, server, worker, 9200, count)
        rsyslog_once(cluster, worker, 9201, count)
        return [
            interleave(
                options,
                "ingest_vs_rsyslog",
                lambda number: ours_once(cluster, server, worker, 200 + number, count),
                lambda number: rsyslog_once(cluster, worker, 200 + number, count),
                unit="events/s",
                aim=AIM,
                notes=(f"{count:,} events a round",),
            )
        ]
