"""`delivery="strict"`: the call returns when ingest has committed the event, and raises where it cannot.

For what must not happen without its trace: emit within the transaction and let the exception undo it. Nothing is kept
on disk.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from trailkeeper.delivery import Delivery
from trailkeeper.delivery.client import Committed, IngestClient, Misconfigured, Refused, Unavailable
from trailkeeper.errors import DeliveryError, RejectedError
from trailkeeper.settings import Settings


class StrictDelivery(Delivery):
    """Tries until `timeout` has passed, the same id every time."""

    def __init__(self, settings: Settings) -> None:
        assert settings.url is not None
        self._client = IngestClient(settings.url, settings.key)
        self._timeout = settings.timeout

    def deliver(self, event: Mapping[str, Any], line: bytes) -> None:
        """Return when ingest has committed the event. Raises DeliveryError, RejectedError."""
        deadline = time.monotonic() + self._timeout
        backoff = 0.05
        while True:
            answer = self._client.post(line, max(0.001, deadline - time.monotonic()))
            match answer:
                case Committed(rejected=[]):
                    return
                case Committed(rejected=[(_, problem), *_]) | Refused(problem=problem):
                    raise RejectedError(problem)
                case Misconfigured(reason=reason):
                    raise DeliveryError(
                        f"Ingest does not take events as configured: {reason}. Check TRAILKEEPER_URL and "
                        "TRAILKEEPER_INGEST_KEY."
                    )
                case Unavailable(reason=reason, retry_after=retry_after):
                    pause = random.uniform(0, backoff) if retry_after is None else retry_after  # noqa: S311 - jitter
                    if time.monotonic() + pause >= deadline:
                        raise DeliveryError(
                            f"Ingest did not commit the event {event['id']} within {self._timeout:g} s: {reason}. Undo "
                            "what it was about or try the whole again; it may be on the trail if only the answer was "
                            "lost."
                        )
                    time.sleep(pause)
                    backoff *= 2

    def close(self, timeout: float) -> None:
        """Close the connections."""
        self._client.close()
