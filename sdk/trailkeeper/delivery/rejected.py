"""Events that will never be on the trail, kept with the reason: `rejected.ndjson` beside the journal's segments.

One JSON object a line: rejected_at, problem (RFC 9457, with the field and the fix where known) and event. A person
reads it, mends the cause, and may delete it at any time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trailkeeper.clock import format_ms
from trailkeeper.encode import encode

NAME = "rejected.ndjson"


class RejectedFile:
    """Appends to the file, several processes at once; at `max_bytes` it takes no more."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.path = folder / NAME
        self._max_bytes = max_bytes

    def write(self, event: Mapping[str, Any] | bytes, problem: Mapping[str, Any]) -> bool:
        """Keep an event and its problem; tell whether there was room for it."""
        shown = _readable(event) if isinstance(event, bytes) else event
        at = format_ms(time.time_ns() // 1_000_000)
        line = encode({"rejected_at": at, "problem": dict(problem), "event": shown})
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(fd).st_size + len(line) > self._max_bytes:
                    return False
                return os.write(fd, line) == len(line)
            finally:
                os.close(fd)
        except OSError:
            return False


def _readable(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return {"unreadable": line.decode(errors="replace")}
