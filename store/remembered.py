"""What was last known of the service's records, so that a store that is away does not stop ingest.

Every event and every search asks for keys and retentions; the answers are kept for `ttl` seconds, for as long as the store
is away, and, where a file is given, across a restart of this process while the store is away. A store that hangs holds up
one caller at a time: the others go on with what was last read.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from audit.errors import StoreUnavailable
from store.protocol import Records

Bodies = Mapping[str, Mapping[str, Any]]


class RememberedRecords:
    """Reads all records of a kind, at most every `ttl` seconds; a change is seen everywhere within that time."""

    def __init__(
        self,
        records: Records,
        *,
        file: Path | None = None,
        ttl: float = 4.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.records = records
        self._file = file
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, dict[str, Any]]] = {}
        self._read_at: dict[str, float] = {}
        if file is not None:
            # Absent at the first start; unreadable after a crash while it was written: then the store is asked, as ever.
            with contextlib.suppress(OSError, orjson.JSONDecodeError):
                self._known = orjson.loads(file.read_bytes())

    def all(self, kind: str, *, max_age: float | None = None, wait: bool = False) -> Bodies:
        """Give the bodies of a kind by id, read at most `max_age` seconds ago (default: `ttl`).

        Where another thread is reading them just now, what was read before is given, unless `wait`. Raises
        StoreUnavailable only where nothing was ever known.
        """
        allowed = self._ttl if max_age is None else max_age
        if self.age(kind) >= allowed and self._lock.acquire(blocking=wait or kind not in self._read_at):
            try:
                if self.age(kind) >= allowed:  # nobody else has just read them
                    self._reload(kind)
            finally:
                self._lock.release()
        return self._known[kind]

    def forget(self, kind: str) -> None:
        """Ask the store again at the next reading: after this process wrote one."""
        self._read_at.pop(kind, None)

    def age(self, kind: str) -> float:
        """Tell how many seconds ago a kind was read, or was last tried to be."""
        return self._clock() - self._read_at.get(kind, float("-inf"))

    def _reload(self, kind: str) -> None:
        try:
            bodies = {record.id: record.body for record in self.records.list(kind)}
        except StoreUnavailable:
            if kind not in self._known:
                raise
        else:
            if bodies != self._known.get(kind):
                self._known = {**self._known, kind: bodies}
                self._write()
        self._read_at[kind] = self._clock()

    def _write(self) -> None:
        if self._file is None:
            return
        draft = self._file.with_suffix(f".{os.getpid()}.draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            target.write(orjson.dumps(self._known))
        draft.replace(self._file)
