"""Everything this library raises, in one picture.

TrailkeeperError
 ├── ConfigurationError      a setting cannot be used as it is (also a ValueError)
 ├── InvalidEventError       the call does not make an event (also a ValueError)
 └── DeliveryError           ingest did not commit the event in time        delivery="strict" only
      └── RejectedError      ingest refused the event, and said why         delivery="strict" only

With the deliveries `journal` and `wait` no call to an audit logger raises any of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TrailkeeperError(Exception):
    """Whatever this library raises is one of these."""


class ConfigurationError(TrailkeeperError, ValueError):
    """A setting cannot be used as it is; the message names it, its environment variable and the fix."""


class InvalidEventError(TrailkeeperError, ValueError):
    """The call does not make an event: a field is missing or malformed.

    `field` is the dotted path of the field, `detail` what is wrong with it, `fix` what to write instead.
    """

    def __init__(self, field: str, detail: str, fix: str) -> None:
        super().__init__(f"{field} {detail} {fix}")
        self.field = field
        self.detail = detail
        self.fix = fix

    def as_problem(self) -> dict[str, Any]:
        """Give the error as a problem (RFC 9457), in the form ingest answers with."""
        return {"title": "Invalid event", "detail": f"{self.field} {self.detail}", "field": self.field, "fix": self.fix}


class DeliveryError(TrailkeeperError):
    """Ingest did not commit the event in time, so it may not be on the trail.

    The event was not kept anywhere else: undo or repeat what it was about. Emitting again makes another event with
    an id of its own, so repeat the call only together with the action.
    """


class RejectedError(DeliveryError):
    """Ingest read the event and refused it: sending it again cannot help. `problem` is its RFC 9457 answer."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        detail = problem.get("detail") or problem.get("title") or "no reason was given"
        fix = problem.get("fix")
        super().__init__(f"Ingest rejected the event: {detail}" + (f" {fix}" if fix else ""))
        self.problem = dict(problem)
