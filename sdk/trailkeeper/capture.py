"""For the tests of applications: see what would have been emitted, without a journal, a server or a wait."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trailkeeper import pipeline
from trailkeeper.delivery import Delivery
from trailkeeper.limits import check_limits


class _Capture(Delivery):
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def deliver(self, event: Mapping[str, Any], line: bytes) -> None:
        """Keep the event as ingest would read it. Raises InvalidEventError where it is past a default limit."""
        check_limits(event := json.loads(line), line)
        self.events.append(dict(event))


@contextmanager
def capture_audit() -> Iterator[list[dict[str, Any]]]:
    """Collect the events that any logger, in any thread, emits within the block; nothing is written or sent.

    A call that makes no event, or one that a server with default limits would reject, raises InvalidEventError.
    """
    capture = _Capture()
    before = pipeline.install(pipeline.Pipeline(capture, None))
    try:
        yield capture.events
    finally:
        pipeline.install(before)
