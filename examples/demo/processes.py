"""The demo's processes: started in sessions of their own, watched, and ended with the demo, whatever ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
TRAILKEEPER = Path(sys.executable).with_name("trailkeeper")
PORT = 8321


class DemoError(Exception):
    """The demo can't go on; says why, and what to do."""


def choose_port(wanted: int | None) -> int:
    """Give the port that was asked for, else 8321, else a free one. Raises DemoError where the one asked for is taken."""
    for port in (PORT, 0) if wanted is None else (wanted,):
        try:
            with socket.create_server(("127.0.0.1", port)) as listener:
                return int(listener.getsockname()[1])
        except OSError as error:
            reason = error.strerror
    raise DemoError(
        f"Port {wanted} can't be listened on: {reason}. Choose another, or leave --port out for a free one."
    )


def environment(**settings: object) -> dict[str, str]:
    """Give this process's environment with these TRAILKEEPER_* settings and no others.

    Whoever has the variables of a real deployment in their shell must not fill that with the demo's events.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TRAILKEEPER_")}
    return plain | {f"TRAILKEEPER_{name.upper()}": str(value) for name, value in settings.items()}


class Processes:
    """The processes that run while the demo does, as a context: the last started is the first ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[tuple[str, subprocess.Popen[str]]] = []

    def start(self, name: str, command: Sequence[str | Path], env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start one; what it logs goes to a file, what it says on standard output can be read."""
        with self._log(name).open("a") as log:
            process = subprocess.Popen(  # noqa: S603 the demo's own commands
                command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        self._running.append((name, process))
        return process

    def check(self) -> None:
        """Raise DemoError, with the end of its log, where a process has ended."""
        for name, process in self._running:
            if (code := process.poll()) is not None:
                last = self._log(name).read_text(errors="replace").strip().splitlines()[-8:]
                raise DemoError("\n".join([f"The {name} ended (exit code {code}). Its last words:", *last]))

    def wait(self, what: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it is so. Raises DemoError where a process ends before, or time does."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{what} took more than {seconds:.0f} s. The logs are in {self._folder}.")
            time.sleep(0.05)

    def watch(self, seconds: float) -> None:
        """Let time pass. Raises DemoError as soon as a process has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            time.sleep(0.2)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them all, and wait: politely, and after 15 seconds otherwise."""
        ignore_signals()
        for _, process in reversed(self._running):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_on_signals() -> None:
    """Let Ctrl-C, a terminal that closes and a plain `kill` all end the demo the same way: by KeyboardInterrupt."""

    def end(*_: object) -> None:
        ignore_signals()
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, end)


def ignore_signals() -> None:
    """Take no more signals: what ends the processes must not be ended half-way (make sends a second one)."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
