"""How an event leaves the application: one small protocol, and the three ways that come with it.

    journal.py   one line in a file, shipped in the background     never raises, never waits
    wait.py      ingest has committed, else the journal            never raises, waits up to `timeout`
    strict.py    ingest has committed, else an exception           raises, waits up to `timeout`

Anything else that implements `Delivery` can be passed to `configure(delivery=…)`, an outbox table of the application's
own database for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from trailkeeper.errors import InvalidEventError


class Delivery(Protocol):
    """Takes events. Called from any thread, and after a fork in the child too.

    Inherit from it to have everything but `deliver`.
    """

    def deliver(self, event: Mapping[str, Any], line: bytes) -> None:
        """Take one event; `line` is its compact JSON in UTF-8 with a line feed, what ingest wants to get."""
        ...

    def refuse(self, entry: Mapping[str, Any], error: InvalidEventError) -> None:
        """Deal with a call that made no event; `entry` is what was passed. Raises the error unless overridden."""
        raise error

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; tell whether ingest has everything that was taken before."""
        return True

    def close(self, timeout: float) -> None:
        """Flush and let go of threads, files and connections. A later `deliver` opens them again."""
        return
