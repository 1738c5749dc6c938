"""`delivery="journal"`, the default: the event is in a file when the call returns, on the trail soon after.

Guarantees: survives kill -9 of the application between any two calls; ingest being away costs nothing but disk. Does
not guarantee: power loss (see `fsync`), nor that anybody has read the event when the call returns.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from trailkeeper.delivery import Delivery
from trailkeeper.delivery.client import IngestClient
from trailkeeper.delivery.losses import organization_of
from trailkeeper.delivery.rejected import RejectedFile
from trailkeeper.delivery.shipper import Shipper
from trailkeeper.delivery.writer import LONGEST_LINE, JournalWriter
from trailkeeper.errors import InvalidEventError
from trailkeeper.settings import Settings

_log = logging.getLogger("trailkeeper")
_MOST_CALL_SITES = 1000


class JournalDelivery(Delivery):
    """Keeps events in the journal's folder and ships them from there. Never raises."""

    def __init__(self, settings: Settings) -> None:
        client = IngestClient(settings.url, settings.key) if settings.url else None
        self._journal = JournalWriter(
            settings.journal, segment_bytes=settings.journal_segment_bytes, fsync=settings.journal_fsync
        )
        # A quarter of the journal's bound: what is rejected must not take the room of what is not.
        self._rejected = RejectedFile(settings.journal, settings.journal_max_bytes // 4)
        self._shipper = Shipper(
            self._journal,
            client,
            self._rejected,
            source=settings.source,
            interval=settings.ship_interval,
            timeout=max(settings.timeout, 10.0),
            max_bytes=settings.journal_max_bytes,
        )
        self._keep = self._journal.keep
        self._told_call_sites: set[tuple[str, int]] = set()

    def deliver(self, event: Mapping[str, Any], line: bytes) -> None:
        """Append the event to the journal; count it as lost where that fails."""
        if len(line) > LONGEST_LINE:
            self.refuse(
                {"id": event["id"], "organization_id": event["organization_id"], "action": event["action"]},
                InvalidEventError("details", f"make an event of {len(line):,} bytes.", "Keep large content elsewhere."),
            )
            return
        self._keep(line)
        if not self._shipper.running:
            self._shipper.start()

    def refuse(self, entry: Mapping[str, Any], error: InvalidEventError) -> None:
        """Keep the entry with its problem, and warn once for each place in the application's code."""
        place = _call_site()
        if place not in self._told_call_sites:
            if len(self._told_call_sites) < _MOST_CALL_SITES:
                self._told_call_sites.add(place)
            _log.warning(
                "trailkeeper: the call at %s:%d makes no audit event: %s What it passed is kept in %s.",
                *place,
                error,
                self._rejected.path,
            )
        if not self._rejected.write(entry, error.as_problem()):
            organization = entry.get("organization_id")
            self._journal.losses.add(str(organization or ""), "invalid, and rejected.ndjson could not take it")

    def reject(self, line: bytes, problem: Mapping[str, Any]) -> None:
        """Keep an event that ingest refused to another delivery which falls back to this one."""
        _log.warning(
            "trailkeeper: ingest rejected an event: %s It is kept in %s.",
            problem.get("detail") or problem.get("title"),
            self._rejected.path,
        )
        if not self._rejected.write(line, problem):
            self._journal.losses.add(organization_of(line) or "", "rejected, and rejected.ndjson could not take it")

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until ingest has what this process emitted before."""
        return self._shipper.flush(timeout)

    def close(self, timeout: float, *, give_up: bool = False) -> None:
        """Flush, end the thread, close the files. What is not shipped stays for the next process."""
        deadline = time.monotonic() + timeout
        self._shipper.flush(timeout, give_up=give_up)
        self._shipper.stop(max(0.05, deadline - time.monotonic()))


def _call_site() -> tuple[str, int]:
    """Find the first frame that is neither this package's nor structlog's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in (
        "trailkeeper",
        "structlog",
    ):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
