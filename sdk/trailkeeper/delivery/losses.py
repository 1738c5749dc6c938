"""What could not be kept, counted until it is on the trail itself: nothing is dropped in silence.

A loss belongs to an organization, so each gets an event of its own: `audit_trail.events_dropped` with the count, the
time since when, and the reason.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from trailkeeper.clock import format_ms
from trailkeeper.uuid7 import new_id

ACTION = "audit_trail.events_dropped"
# Also finds it in half a line: it is the third field.
_organization = re.compile(rb'"organization_id":"((?:[^"\\]|\\.)*)"').search


@dataclass(slots=True)
class Loss:
    """How many events of one organization went for one reason, and since when (milliseconds since 1970)."""

    organization_id: str
    reason: str
    since: int
    count: int = 0


class Losses:
    """The counts that wait for a journal that can be written to again."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Loss] = {}
        self._lock = threading.RLock()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, organization_id: str, reason: str, count: int = 1) -> None:
        """Count a loss."""
        with self._lock:
            loss = self._counts.get((organization_id, reason))
            if loss is None:
                loss = self._counts[organization_id, reason] = Loss(
                    organization_id, reason, time.time_ns() // 1_000_000
                )
            loss.count += count

    def take(self) -> list[Loss]:
        """Hand all counts over, and start again at none."""
        with self._lock:
            losses, self._counts = list(self._counts.values()), {}
        return losses

    def put_back(self, loss: Loss) -> None:
        """Keep a count that could not be reported yet."""
        with self._lock:
            self.add(loss.organization_id, loss.reason, loss.count)
            kept = self._counts[loss.organization_id, loss.reason]
            kept.since = min(kept.since, loss.since)


def loss_event(loss: Loss, source: str | None) -> dict[str, Any]:
    """Make the event that says what was lost."""
    now = time.time_ns()
    event: dict[str, Any] = {
        "id": new_id(now),
        "occurred_at": format_ms(now // 1_000_000),
        "organization_id": loss.organization_id,
        "actor": {"type": "system", "name": "trailkeeper"},
        "action": ACTION,
        "resource": {"type": "audit_trail"},
        "outcome": "success",
        "details": {"count": loss.count, "since": format_ms(loss.since), "reason": loss.reason},
    }
    if source:
        event["source"] = source
    return event


def organization_of(line: bytes) -> str | None:
    """Read the organization of a line, whole or torn; None where it does not get that far."""
    import json

    if (found := _organization(line)) is None:
        return None
    try:
        return str(json.loads(b'"' + found[1] + b'"'))
    except ValueError:
        return None
