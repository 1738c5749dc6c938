"""The real command, in a process of its own, as a person or a program runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("trailkeeper")
SECRET = "a secret for tests that has more than thirty-two bytes"


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its standard output as one JSON document."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Its standard output as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Command:
    """Runs the command in a folder, with settings of its own and none of this machine's."""

    folder: Path
    zygote: "subprocess.Popen[str]"
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAILKEEPER_")}
        return {**kept, "TRAILKEEPER_JWT_SECRET": SECRET, "COLUMNS": "200", "NO_COLOR": "1", **self.settings}

    def __call__(self, *arguments: str | Path, stdin: str = "", code: int | None = None) -> Ran:
        """Run it to its end; `code` is what it must end with, if given."""
        files = {name: self.folder / f".std{name}" for name in ("in", "out", "err")}
        for path in files.values():
            path.write_text("")
        files["in"].write_text(stdin)
        request = {
            "folder": str(self.folder),
            "environment": self.environment(),
            "arguments": [*map(str, arguments)],
            **{name: str(path) for name, path in files.items()},
        }
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(request) + "\n")
        self.zygote.stdin.flush()
        ended = int(self.zygote.stdout.readline())
        ran = Ran(ended, _read(files["out"]), _read(files["err"]))
        assert "Traceback" not in ran.err, ran.err
        assert code is None or ran.code == code, ran
        return ran

    @contextmanager
    def serving(self, *arguments: str) -> Iterator["Served"]:
        """Serve on a free port while the block runs."""
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if " at http" in line:
                    break
            else:
                raise AssertionError(said)
            url = next(word for word in line.split() if word.startswith("http")).rstrip(",")
            yield Served(process, url)
        finally:
            process.kill()
            process.communicate()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Run what a condition asks until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"


def start_zygote() -> "subprocess.Popen[str]":
    """Start what `Command` runs through."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cli.zygote"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "200", "NO_COLOR": "1"},
    )


def _read(path: Path) -> str:
    """Read text as a pipe gives it, with its line ends as they are."""
    return path.read_bytes().decode()


@dataclass
class Served:
    """A running `trailkeeper serve`."""

    process: "subprocess.Popen[str]"
    url: str

    def stop(self, with_signal: int = signal.SIGTERM) -> Ran:
        """End it as an operator does."""
        self.process.send_signal(with_signal)
        out, err = self.process.communicate(timeout=30)
        return Ran(self.process.returncode, out, err)
