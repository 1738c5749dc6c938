"""The ingest service with faults in it: the same program, and nothing of this is in it when it is installed.

TRAILKEEPER_TEST_FAULTS="before-commit:3" python -m tests.faults.crashing_ingest

before-commit:N       killed inside the Nth commit's transaction, all written, nothing committed
after-commit:N        killed after the Nth commit, before anybody is told
mid-bulk:N            killed when the Nth _bulk is sent and its answer not read
half-bulk:N           killed when half of the Nth _bulk's events are in the engine
before-prune:N        killed when the Nth _bulk is answered and its batches are not let go of
in-prune:N            killed inside the transaction that lets go of them
fsync:N               from the Nth on, every fsync of SQLite's fails
clock:FILE            the clock is ahead by as many seconds as the file says, at each reading
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import urllib3.connection

import audit.instants
import cli.main
import ingest.pipeline
import ingest.spool
from ingest.spool import Spool
from store.opensearch import OpenSearchStore
from store.protocol import Document, Written

POINTS = ("before-commit", "after-commit", "mid-bulk", "half-bulk", "before-prune", "in-prune")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(
    owner: type, name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> None:
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            before()
        result = real(*args, **kwargs)
        if after:
            after()
        return result

    setattr(owner, name, wrapped)


class _Nth:
    """Dies when called for the Nth time."""

    def __init__(self, n: int) -> None:
        self._left = n

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            _die()


def _mid_bulk(n: int) -> None:
    connection = urllib3.connection.HTTPConnection
    request, dies = connection.request, _Nth(n)

    def requested(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        request(self, method, url, *args, **kwargs)
        if url.startswith("/_bulk"):
            dies()

    connection.request = requested  # type: ignore[method-assign]


def _half_bulk(n: int) -> None:
    write, left = OpenSearchStore.write, [n]

    def written(self: OpenSearchStore, documents: Sequence[Document], *, searchable: bool = False) -> Sequence[Written]:
        left[0] -= 1
        if left[0] == 0:
            write(self, documents[: (len(documents) + 1) // 2])
            _die()
        return write(self, documents, searchable=searchable)

    OpenSearchStore.write = written  # type: ignore[method-assign]


def _in_prune(n: int) -> None:
    """Kill inside the transaction: SQLite asks this hook right before it commits, on the thread that commits."""
    settle, dies, pruning = Spool.settle, _Nth(n), threading.local()

    def about_to_commit() -> bool:
        if getattr(pruning, "here", False):
            dies()
        return False

    def settled(self: Spool, *args: Any) -> None:
        with self._lock:
            self._db.set_commit_hook(about_to_commit)
        pruning.here = True
        settle(self, *args)
        pruning.here = False

    Spool.settle = settled  # type: ignore[method-assign]


class _File(apsw.VFSFile):  # type: ignore[misc]
    syncs_left = 0

    def xSync(self, flags: int) -> None:  # noqa: N802 SQLite's name
        _File.syncs_left -= 1
        if _File.syncs_left < 0:
            error = apsw.IOError("injected: fsync failed")
            error.extendedresult = apsw.SQLITE_IOERR_FSYNC
            raise error
        super().xSync(flags)


class _Vfs(apsw.VFS):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("failing", base="unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 SQLite's name
        return _File("unix", name, flags)


def _move_clock(file: Path) -> None:
    real = audit.instants.utc_now

    def moved() -> datetime:
        return real() + timedelta(seconds=float(file.read_text()))

    for module in list(sys.modules.values()):
        if getattr(module, "utc_now", None) is real:
            module.utc_now = moved  # type: ignore[attr-defined]
    ingest.pipeline.Pipeline.__init__.__kwdefaults__["clock"] = moved


def _install(fault: str) -> list[object]:
    name, _, value = fault.partition(":")
    match name:
        case "before-commit":
            _wrap(Spool, "_insert", after=_Nth(int(value)))
        case "after-commit":
            _wrap(Spool, "append", after=_Nth(int(value)))
        case "mid-bulk":
            _mid_bulk(int(value))
        case "half-bulk":
            _half_bulk(int(value))
        case "before-prune":
            _wrap(Spool, "settle", before=_Nth(int(value)))
        case "in-prune":
            _in_prune(int(value))
        case "fsync":
            _File.syncs_left = int(value)
            return [_Vfs()]
        case "clock":
            _move_clock(Path(value))
        case _:
            raise SystemExit(f"no such fault: {fault}")
    return []


if __name__ == "__main__":
    kept = [_install(fault) for fault in os.environ.get("TRAILKEEPER_TEST_FAULTS", "").split()]
    sys.argv = ["trailkeeper", "serve", "--only", "ingest"]
    cli.main.main()
