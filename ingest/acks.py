"""Waiting for the engine's word: `?ack=indexed` and `?ack=searchable`.

A request says which ids it waits for before they are committed, so that the relay can't be faster than the waiting.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Mapping

from store.protocol import Document, Written


class Wait:
    """What one request waits for: an outcome for each of its ids."""

    def __init__(self, ids: Iterable[str], searchable: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.searchable = searchable
        self.outcomes: dict[str, Written] = {}
        self._missing = set(ids)
        self._loop = loop
        self._done = loop.create_future()

    def drop(self, id: str) -> None:
        """Stop waiting for an id: it is with the engine already, or was never taken. On the loop only."""
        self._missing.discard(id)
        self._finish()

    async def all(self, timeout: float) -> None:
        """Wait until every id has its outcome. Raises TimeoutError."""
        self._finish()
        await asyncio.wait_for(self._done, timeout)

    def arrive(self, outcomes: Mapping[str, Written]) -> None:
        """Take outcomes, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._arrive, outcomes)

    def _arrive(self, outcomes: Mapping[str, Written]) -> None:
        self.outcomes.update(outcomes)
        self._missing.difference_update(outcomes)
        self._finish()

    def _finish(self) -> None:
        if not self._missing and not self._done.done():
            self._done.set_result(None)


class Acks:
    """Who waits for which id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[str, list[Wait]] = {}

    def add(self, wait: Wait, ids: Iterable[str]) -> None:
        """Begin to wait."""
        with self._lock:
            for id in ids:
                self._waits.setdefault(id, []).append(wait)

    def remove(self, wait: Wait, ids: Iterable[str]) -> None:
        """Stop waiting, however it ended."""
        with self._lock:
            for id in ids:
                waits = [other for other in self._waits.get(id, ()) if other is not wait]
                if waits:
                    self._waits[id] = waits
                else:
                    self._waits.pop(id, None)

    def wants_searchable(self, documents: Iterable[Document]) -> bool:
        """Tell whether somebody waits to find one of these in a search."""
        with self._lock:
            return bool(self._waits) and any(
                wait.searchable for document in documents for wait in self._waits.get(document.id, ())
            )

    def announce(self, outcomes: Mapping[str, Written]) -> None:
        """Tell everybody who waits what became of these."""
        with self._lock:
            if not self._waits:
                return
            found: dict[Wait, dict[str, Written]] = {}
            for id, written in outcomes.items():
                for wait in self._waits.get(id, ()):
                    found.setdefault(wait, {})[id] = written
        for wait, its in found.items():
            wait.arrive(its)
