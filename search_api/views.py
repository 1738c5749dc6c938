"""Reading the trail is on the trail: who read what, recorded before the answer leaves.

The first reading of a query by a principal is recorded at once, and where that fails nothing is shown. The same query by the
same principal within the next five minutes (the pages of a walk, a screen that refreshes) is counted, and the count becomes
one more event when the window ends. Nothing a caller can send skips it.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from audit.access import Principal
from audit.errors import Unavailable
from audit.event import Actor, Context, Event, Resource
from audit.ids import new_id
from audit.instants import format_instant

WINDOW = timedelta(minutes=5)
CAPACITY = 10_000
"""Windows kept open at a time; past it the oldest ends early."""
ADDRESSES = 20
"""How many client addresses a summary names."""

_log = structlog.get_logger("trailkeeper.search")


@dataclass(frozen=True, slots=True)
class View:
    """One reading. `digest` names the query; readings with the same principal and digest are summarised."""

    principal: Principal
    digest: bytes
    details: Mapping[str, Any]
    context: Context


_Key = tuple[str, str, str, bytes]


@dataclass(slots=True)
class _Window:
    ends: datetime
    latest: View
    committed: Future[None] = field(default_factory=Future)
    repeats: int = 0
    since: datetime | None = None
    until: datetime | None = None
    addresses: dict[str, None] = field(default_factory=dict)

    def count(self, view: View, now: datetime) -> None:
        self.latest = view
        self.repeats += 1
        self.since = self.since or now
        self.until = now
        if view.context.ip is not None and len(self.addresses) < ADDRESSES:
            self.addresses[view.context.ip] = None


class Views:
    """Records readings through `record`, which returns when an event is committed and raises where it can't be."""

    def __init__(
        self, record: Callable[[Event], None], clock: Callable[[], datetime], *, capacity: int = CAPACITY
    ) -> None:
        self._record = record
        self._clock = clock
        self._capacity = capacity
        self._lock = threading.Lock()
        # In the order in which they end. A window without repeats leaves without a word.
        self._windows: dict[_Key, _Window] = {}
        self._unrecorded: list[Event] = []

    def record(self, view: View) -> None:
        """Put a reading on the trail, or count it with the first one of its window.

        Raises Unavailable (503) where it can't be committed: then nothing may be shown.
        """
        principal = view.principal
        key = (principal.organization_id, principal.type, principal.id, view.digest)
        while True:
            now = self._clock()
            with self._lock:
                window = self._windows.get(key)
                first = window is None or now >= window.ends
                if first:
                    ended = self._windows.pop(key, None)
                    window = self._windows[key] = _Window(now + WINDOW, view)
            assert window is not None
            if first:
                self._open(key, window, ended, now)
                return
            # Another thread may still be committing the first reading: if that fails, this one isn't on the trail either.
            if (error := window.committed.exception()) is not None:
                raise _unavailable() from error
            with self._lock:
                if self._windows.get(key) is window:
                    window.count(view, now)
                    return

    def flush(self) -> None:
        """Record the windows that have ended. What can't be recorded is kept for the next time."""
        now = self._clock()
        with self._lock:
            self._unrecorded += self._take(lambda window: now >= window.ends)
        self._record_waiting()

    def close(self) -> None:
        """Record all windows: the process ends."""
        with self._lock:
            self._unrecorded += self._take(lambda window: True)
        self._record_waiting()

    def _open(self, key: _Key, window: _Window, ended: _Window | None, now: datetime) -> None:
        with self._lock:
            if ended is not None and ended.repeats:
                self._unrecorded.append(_summary(ended))
            excess = len(self._windows) - self._capacity
            self._unrecorded += self._take(lambda _: excess > 0, at_most=excess)
        try:
            self._commit(_event(window.latest, now, {"count": 1}))
        except BaseException as error:
            with self._lock:
                if self._windows.get(key) is window:
                    del self._windows[key]
            window.committed.set_exception(error)
            raise
        window.committed.set_result(None)
        self._record_waiting()

    def _take(self, ended: Callable[[_Window], bool], at_most: int | None = None) -> list[Event]:
        """Remove windows from the front, as long as they have ended; give the summaries of those with repeats."""
        taken: list[_Window] = []
        while self._windows and (at_most is None or len(taken) < at_most):
            key, window = next(iter(self._windows.items()))
            if not ended(window):
                break
            taken.append(self._windows.pop(key))
        return [_summary(window) for window in taken if window.repeats]

    def _record_waiting(self) -> None:
        with self._lock:
            waiting, self._unrecorded = self._unrecorded, []
        for place, event in enumerate(waiting):
            try:
                self._commit(event)
            except Unavailable:
                with self._lock:
                    self._unrecorded += waiting[place:]
                return

    def _commit(self, event: Event) -> None:
        try:
            self._record(event)
        except Exception as error:
            _log.error("view_not_recorded", error=repr(error))
            raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable(
        "This reading can't be put on the trail right now, so nothing is shown.",
        fix="Try again later; the operator finds the reason in the log.",
        retry_after=5,
    )


def _summary(window: _Window) -> Event:
    assert window.since is not None
    assert window.until is not None
    counted = {
        "count": window.repeats,
        "from": format_instant(window.since),
        "to": format_instant(window.until),
        "addresses": list(window.addresses),
    }
    return _event(window.latest, window.until, counted)


def _event(view: View, now: datetime, counted: Mapping[str, Any]) -> Event:
    principal = view.principal
    return Event(
        id=new_id(),
        occurred_at=now,
        organization_id=principal.organization_id,
        actor=Actor(type=principal.type, id=principal.id, name=principal.name, email=principal.email),
        action="audit_log.view",
        resource=Resource(type="audit_log", id=principal.organization_id),
        details={**view.details, **counted},
        context=view.context,
        source="trailkeeper",
    )
