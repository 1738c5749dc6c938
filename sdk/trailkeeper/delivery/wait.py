"""`delivery="wait"`: the call returns when ingest has committed the event; where it cannot, the journal has it.

Guarantees: never raises; when the call returns the event is on the trail or in the journal. After a failure events go
straight to the journal for a while, so that an outage costs one timeout and not one a call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from trailkeeper.delivery import Delivery
from trailkeeper.delivery.client import Committed, IngestClient, Misconfigured, Refused, Unavailable
from trailkeeper.delivery.journal import JournalDelivery
from trailkeeper.errors import InvalidEventError
from trailkeeper.settings import Settings

_log = logging.getLogger("trailkeeper")

_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


class WaitDelivery(Delivery):
    """Asks ingest first, the journal second."""

    def __init__(self, settings: Settings) -> None:
        assert settings.url is not None
        self._client = IngestClient(settings.url, settings.key)
        self._timeout = settings.timeout
        self._journal = JournalDelivery(settings)
        self._journal_until = 0.0

    def deliver(self, event: Mapping[str, Any], line: bytes) -> None:
        """Send the event and wait; fall back to the journal where ingest is not available."""
        if time.monotonic() < self._journal_until:
            self._journal.deliver(event, line)
            return
        answer = self._client.post(line, self._timeout)
        match answer:
            case Committed(rejected=[]):
                return
            case Committed(rejected=[(_, problem), *_]) | Refused(problem=problem):
                self._journal.reject(line, problem)
            case Unavailable(reason=reason) | Misconfigured(reason=reason):
                # The event may be on the trail all the same, the answer lost: the journal sends it again, under its id.
                self._journal.deliver(event, line)
                pause = min(_LONGEST_PAUSE, max(_PAUSE, getattr(answer, "retry_after", None) or 0.0))
                self._journal_until = time.monotonic() + pause
                _log.warning(
                    "trailkeeper: ingest did not commit an event (%s); it is in the journal, and so will be all of the "
                    "next %.0f s",
                    reason,
                    pause,
                )

    def refuse(self, entry: Mapping[str, Any], error: InvalidEventError) -> None:
        """As the journal does."""
        self._journal.refuse(entry, error)

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until ingest has what fell back to the journal."""
        return self._journal.flush(timeout)

    def close(self, timeout: float, *, give_up: bool = False) -> None:
        """Close the journal and the connections."""
        self._journal.close(timeout, give_up=give_up)
        self._client.close()
