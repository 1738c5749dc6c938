"""Servers as real processes, and what each of them took of the CPU and of memory (/proc, proc(5))."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from audit.access import KeyScope
from store.keys import KIND as KEY
from store.keys import Keys
from store.protocol import Record

_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A process that answers on a loopback port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def wait(self, path: str, seconds: float = 60.0) -> None:
        """Wait until it answers anything at all at this path."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"The server did not start:\n{self._log.read_text(errors='replace')[-4000:]}")

    def get(self, path: str) -> str:
        """GET something from it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            text: str = answer.read().decode()
        return text


@contextmanager
def running(command: list[str], port: int, *, path: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server, wait for it, end it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAILKEEPER_")}
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log") as log:
        process = subprocess.Popen(
            command, env={**kept, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            server = Server(process, port, Path(log.name))
            server.wait(path)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def ingest(store_url: str, folder: Path, **settings: str) -> Iterator[Server]:
    """Run `trailkeeper serve --only ingest` with its files in a folder."""
    port = free_port()
    env = {
        "TRAILKEEPER_STORE_URL": store_url,
        "TRAILKEEPER_SPOOL_PATH": str(folder / "spool.sqlite"),
        "TRAILKEEPER_LOG_LEVEL": "error",
        **{f"TRAILKEEPER_{name.upper()}": value for name, value in settings.items()},
    }
    command = [
        sys.executable,
        "-c",
        "from cli.main import main; main()",
        "serve",
        "--only",
        "ingest",
        "--port",
        str(port),
    ]
    with running(command, port, path="/healthz", env=env) as server:
        yield server


@contextmanager
def application(name: str, *arguments: str) -> Iterator[Server]:
    """Run one of the applications of bench/peers.py under the uvicorn settings of `trailkeeper serve`."""
    port = free_port()
    with running([sys.executable, "-m", "bench.peers", name, str(port), *arguments], port, path="/") as server:
        yield server


def token_in(folder: Path) -> str:
    """Make an ingest key for an ingest that never meets its engine: where it remembers keys across restarts."""
    records = _RecordsInMemory()
    _, token = Keys(records).create(KeyScope.INGEST, None, "bench")
    known = {KEY: {record.id: record.body for record in records.list(KEY)}, "retention": {}}
    (folder / "spool.sqlite.records.json").write_bytes(orjson.dumps(known))
    return token


class _RecordsInMemory:
    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Record] = {}

    def get(self, kind: str, id: str) -> Record | None:
        return self._records.get((kind, id))

    def put(self, kind: str, id: str, body: Mapping[str, object], *, version: str | None) -> Record:
        record = self._records[kind, id] = Record(id, dict(body), "1")
        return record

    def delete(self, kind: str, id: str) -> None:
        self._records.pop((kind, id), None)

    def list(self, kind: str) -> list[Record]:
        return [record for (its, _), record in self._records.items() if its == kind]


def free_port() -> int:
    """Find a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Cpu:
    """CPU seconds of some processes between two moments."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._before = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def since(self, **more: float) -> dict[str, float]:
        """Give what each has taken since; `more` is what is known from elsewhere."""
        taken = dict(more)
        for name, pid in self._pids.items():
            with contextlib.suppress(FileNotFoundError):
                taken[name] = cpu_seconds(pid) - self._before[name]
        return taken
