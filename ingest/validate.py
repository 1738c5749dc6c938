"""From a line to a candidate for the log: the model, then what only this deployment knows.

That is: whether the key may write for the organization, whether the action is in the catalog, and whether the event's time
lies between the organization's retention and a little ahead of the server's clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from audit.access import Writer
from audit.catalog import Catalog
from audit.errors import Forbidden, InvalidEvent
from audit.event import Event
from audit.ids import new_id
from audit.instants import floor_ms, format_instant, to_ms
from audit.wire import Limits, read_event, with_resource_type
from store.protocol import Candidate
from store.retentions import Retentions

_WIDEST = Limits(event_bytes=1 << 20, leaf_bytes=30_000, depth=16)
# What a NamedTuple's own constructor does behind a call into Python, in half the time.
_new: Any = tuple.__new__


class Validator:
    """Decides what enters the trail. One for a service; safe from several threads."""

    def __init__(
        self,
        catalog: Catalog,
        retentions: Retentions,
        limits: Limits,
        skew: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self.catalog = catalog
        self.reserved = catalog.reserved()
        self.retentions = retentions
        self.limits = limits
        self.skew = skew
        self._clock = clock
        self.free = {each.name: each.resource_type for each in catalog if each.details_schema is None}
        """The catalog's actions that take any details, with the type of their resource: nothing else is to check."""

    def now(self) -> datetime:
        """Read the server's clock, on the trail's grid of milliseconds."""
        return floor_ms(self._clock())

    def reception(self, writer: Writer) -> "Reception":
        """Begin to judge what one writer sends in one request, at one instant."""
        return Reception(self, writer, self.now())

    def own(self, event: Event) -> Candidate:
        """Make a candidate of an event that Trailkeeper itself records; the same rules hold for it."""
        line = event.model_dump_json(exclude_none=True).encode()
        # What senders are limited to must not keep Trailkeeper from recording: only the largest limits there can be hold.
        return Reception(self, Writer(event.source or "", None), self.now(), _WIDEST, own=True).check(line)


class Reception:
    """One request's events, held against one instant: what is the same for all of them is worked out once."""

    def __init__(
        self,
        validator: Validator,
        writer: Writer,
        now: datetime,
        limits: Limits | None = None,
        *,
        own: bool = False,
    ) -> None:
        self._catalog = validator.catalog
        self._free = validator.free
        self._reserved: frozenset[str] = frozenset() if own else validator.reserved
        self._retentions = validator.retentions
        self._limits = limits or validator.limits
        self._writer = writer
        self._now = now
        self._latest = now + validator.skew
        self._skew = validator.skew
        self._received_at = format_instant(now)
        self._defaults = {"id": new_id, "occurred_at": lambda: self._received_at}
        self._organizations: dict[str, tuple[str, datetime | None]] = {}

    def check(self, line: bytes) -> Candidate:
        """Turn one line into a candidate. Raises InvalidEvent (422), or Forbidden (403) for another's organization."""
        id, organization_id, occurred_at, action, resource_type, details, normal, resource_at = read_event(
            line, self._limits, self._defaults
        )
        known = self._organizations.get(organization_id)
        retention, earliest = known if known is not None else self._admit(organization_id)
        if action in self._reserved:
            raise _reserved(action)
        usual_type = self._free.get(action)
        in_catalog = usual_type is not None or self._catalog.check(action, details)
        if resource_type is None:
            normal = with_resource_type(normal, usual_type or self._catalog.resource_type(action), resource_at)
        if occurred_at > self._latest or (earliest is not None and occurred_at < earliest):
            raise self._untimely(occurred_at, earliest, retention)
        candidate: Candidate = _new(
            Candidate, (id, organization_id, to_ms(occurred_at), retention, normal, self._received_at, in_catalog)
        )
        return candidate

    def _admit(self, organization_id: str) -> tuple[str, datetime | None]:
        """Look up an organization the request names for the first time."""
        if self._writer.organization_id is not None and organization_id != self._writer.organization_id:
            raise Forbidden(
                f"This ingest key may not write for the organization {organization_id!r}.",
                field="organization_id",
                fix="Use the organization's own key, or one made for all organizations.",
            )
        retention = self._retentions.of(organization_id)
        found = (str(retention), retention.visible_from(self._now))
        self._organizations[organization_id] = found
        return found

    def _untimely(self, occurred_at: datetime, earliest: datetime | None, retention: str) -> InvalidEvent:
        if earliest is None or occurred_at >= earliest:
            return InvalidEvent(
                f"occurred_at is {occurred_at - self._now} ahead of the server's clock ({self._received_at}).",
                field="occurred_at",
                limit=f"{int(self._skew.total_seconds())} s ahead",
                fix="Set the sender's clock (NTP), or send the time at which it happened.",
            )
        return InvalidEvent(
            f"occurred_at is before {format_instant(earliest)}, past the organization's retention of {retention}.",
            field="occurred_at",
            limit=retention,
            fix="Give the organization a longer retention first: `trailkeeper retention set ORGANIZATION 3650d`.",
        )


def _reserved(action: str) -> Forbidden:
    return Forbidden(
        f"Only Trailkeeper itself may put {action} on the trail.",
        field="action",
        fix="Name the action after your own resource, like document.view.",
    )
