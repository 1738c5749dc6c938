"""Ingest as the process it is in production: the installed command, a spool and a port it keeps over restarts."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw
import httpx

from audit.access import KeyScope
from audit.retention import Retention
from audit.settings import load_settings
from cli.compose import open_engine
from index_templates import loader
from store.keys import Keys
from store.retentions import Retentions
from tests.faults.load import DAYS, Organization
from tests.nodes import Node
from tests.nodes.watchdog import Watchdog

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("trailkeeper"))


def until(condition: Callable[[], object], within: float, what: str) -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within:.0f} s in vain: {what}"
        time.sleep(0.02)


def pass_time(seconds: float) -> None:
    """Let a fault last for as long as it says: time itself is the condition here."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, seconds + 5, "time")


def free_port() -> int:
    """Find a port outside the range that outgoing connections get theirs from, so that a restart finds it free."""
    while True:
        port = random.randrange(12_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Ingest:
    """One instance. `close` kills it and removes its folder; so does the end of the test's process, however it comes."""

    def __init__(self, store_url: str, environment: Mapping[str, str], command: Sequence[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="trailkeeper-fault-"))
        self.spool = self.folder / "spool.sqlite"
        self.port = free_port()
        self.log = self.folder / "log.ndjson"
        self.command = list(command)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TRAILKEEPER_")},
            "TRAILKEEPER_STORE_URL": store_url,
            "TRAILKEEPER_SPOOL_PATH": str(self.spool),
            "TRAILKEEPER_PORT": str(self.port),
            "TRAILKEEPER_LOG_FORMAT": "json",
            "TRAILKEEPER_STORE_TIMEOUT_SECONDS": "10",
            "PYTHONWARNINGS": "error",
            **environment,
        }
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog = Watchdog(self.folder)

    def start(self, *, wait: bool = True, **environment: str) -> Self:
        """Start it on its spool and port, these variables changed; with `wait`, return when /healthz answers."""
        assert not self.alive(), "it runs already"
        self.environment |= environment
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watchdog.watch(self._process.pid)
        self.starts += 1
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self, within: float = 60.0) -> None:
        until(lambda: self.healthy() or not self.alive(), within, "ingest answers /healthz")
        assert self.alive(), f"ingest ended while it started:\n{self.log_text()[-3000:]}"

    def healthy(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
        return False

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def stop(self, within: float = 60.0) -> int:
        """SIGTERM, as an orchestrator does; return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(within)

    def wait_until_dead(self, within: float = 60.0) -> int:
        """Wait until it has ended by itself; return the exit code (negative: the signal)."""
        assert self._process is not None
        return self._process.wait(within)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, trust_env=False)

    def log_text(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def logged(self, event: str) -> list[dict[str, object]]:
        """Every structured log entry of this name."""
        return [
            json.loads(line) for line in self.log_text().splitlines() if line.startswith("{") and f'"{event}"' in line
        ]

    def waiting(self) -> int:
        """How many events wait in the spool."""
        return int(self.ask("SELECT ifnull(sum(count), 0) FROM batch"))

    def relayed(self) -> int:
        """How many of its log's events are settled."""
        return int(self.ask("SELECT next FROM log")) - self.waiting()

    def dead(self) -> int:
        """How many dead letters there are."""
        return int(self.ask("SELECT count(*) FROM dead"))

    def ask(self, statement: str) -> int | str:
        db = apsw.Connection(str(self.spool), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.set_busy_timeout(10_000)
            value: int | str = db.execute(statement).get
            return value
        finally:
            db.close()

    def drain(self, within: float = 90.0) -> None:
        """Wait until nothing waits for the engine."""
        until(lambda: self.waiting() == 0 or not self.alive(), within, "the spool is empty")
        assert self.alive(), f"ingest ended while it drained:\n{self.log_text()[-3000:]}"

    def run(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another `trailkeeper` command with this instance's settings."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not ok or done.returncode == 0, done.stderr
        return done

    def close(self) -> None:
        if self._process is not None and self.alive():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        self._watchdog.close()


class Deployment:
    """A run's tenants and key on a node, and the instances it started. Ids are the run's own: a node serves many runs."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.run = f"run-{uuid.uuid4().hex[:10]}"
        self.store_url = node.url.replace("http://", "opensearch://")
        self.organizations = [Organization(f"{self.run}-a", "90d"), Organization(f"{self.run}-b", "365d")]
        self._stack = ExitStack()
        engine = open_engine(load_settings(store_url=self.store_url))
        store = engine.store
        try:
            store.prepare()
            assert engine.client is not None
            assert engine.opener is not None
            # The days that most events are of: on a small machine a fresh node takes half a minute for these.
            loader.prepare(engine.client)
            for days in DAYS:
                for organization in self.organizations:
                    engine.opener.open(organization.retention, datetime.now(UTC).date() - timedelta(days=days))
            self.key = Keys(store.records).create(KeyScope.INGEST, None, self.run)[1]
            for organization in self.organizations:
                Retentions(store.records, "90d").set(organization.id, Retention.parse(organization.retention))
        finally:
            store.close()

    def ingest(self, *, store_url: str | None = None, **environment: str) -> Ingest:
        """Make an instance: `trailkeeper serve --only ingest`. Not started yet."""
        return self._keep(Ingest(store_url or self.store_url, environment, [COMMAND, "serve", "--only", "ingest"]))

    def crashing_ingest(self, *faults: str, store_url: str | None = None, **environment: str) -> Ingest:
        """Make an instance with faults in it; see crashing_ingest.py for their names."""
        command = [sys.executable, "-m", "tests.faults.crashing_ingest"]
        return self._keep(
            Ingest(store_url or self.store_url, {"TRAILKEEPER_TEST_FAULTS": " ".join(faults), **environment}, command)
        )

    def _keep(self, ingest: Ingest) -> Ingest:
        self._stack.callback(ingest.close)
        return ingest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
