"""For applications that keep their own structlog chain: audit events are entries of their usual logger.

An entry is an audit event when it says `audit=True`, or when its name is one of `Action` or of the processor's
`actions`, unless it says `audit=False`. Everything else passes through untouched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from structlog.contextvars import get_contextvars
from structlog.typing import EventDict, WrappedLogger

from trailkeeper import pipeline
from trailkeeper.actions import Action
from trailkeeper.event import FIELDS

# What structlog's own processors and adapters add about the log entry: it describes the entry, not the action.
LOG_KEYS = frozenset(
    {
        "audit", "exc_info", "exception", "filename", "func_name", "level", "level_number", "lineno", "logger",
        "logger_name", "module", "pathname", "positional_args", "process", "process_name", "qual_name", "stack",
        "stack_info", "thread", "thread_name", "timestamp",
    }
)  # fmt: skip


class AuditProcessor:
    """A structlog processor that emits the audit events among the entries.

    Put it right after merge_contextvars and before anything that renders. The entry goes on down the chain, so that it is
    in the log as well; with `keep=False` it ends here. Mind that a filtering bound logger drops entries below its level
    before any processor sees them. `actions` are names of your own beside the built-in ones.
    """

    def __init__(self, actions: Iterable[str] = (), *, keep: bool = True) -> None:
        self._actions = {*map(str, Action), *map(str, actions)}
        self._keep = keep

    def __call__(self, logger: WrappedLogger, method_name: str, event_dict: EventDict) -> EventDict:
        """Emit the entry if it is an audit event, and pass it on."""
        marked = event_dict.get("audit")
        if marked is False or (marked is not True and event_dict.get("event") not in self._actions):
            return event_dict
        pipeline.emit(_entry(event_dict))
        if not self._keep:
            raise structlog.DropEvent
        event_dict.pop("audit", None)
        return event_dict


def _entry(event_dict: EventDict) -> dict[str, Any]:
    """Leave out what describes the log entry, and what merge_contextvars brought that is no field of an event."""
    ambient = get_contextvars()
    missing = object()
    return {
        key: value
        for key, value in event_dict.items()
        if key in FIELDS
        or key == "event"
        or not (key in LOG_KEYS or key.startswith("_") or ambient.get(key, missing) is value)
    }
