"""From a line to a candidate for the log: the model, then what only this deployment knows.

That is: whether the key may write for the organization, whether the action is in the catalog, and whether the event's time
lies between the organization's retention and a little ahead of the server's clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from audit.access import Writer
from audit.catalog import Catalog
from audit.errors import Forbidden, InvalidEvent
from audit.event import Event
from audit.ids import new_id
from audit.instants import floor_ms, format_instant, to_ms
from audit.wire import Limits, parse_event, with_resource_type
from store.protocol import Candidate
from store.retentions import Retentions


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
        self._catalog = catalog
        self._retentions = retentions
        self._limits = limits
        self._skew = skew
        self._clock = clock

    def now(self) -> datetime:
        """Read the server's clock, on the trail's grid of milliseconds."""
        return floor_ms(self._clock())

    def check(self, line: bytes, writer: Writer, now: datetime) -> Candidate:
        """Turn one line into a candidate. Raises InvalidEvent (422), or Forbidden (403) for another's organization."""
        received_at = format_instant(now)
        event, normal = parse_event(line, self._limits, {"id": new_id(), "occurred_at": received_at})
        if writer.organization_id is not None and event.organization_id != writer.organization_id:
            raise Forbidden(
                f"This ingest key may not write for the organization {event.organization_id!r}.",
                field="organization_id",
                fix="Use the organization's own key, or one made for all organizations.",
            )
        return self._admit(event, normal, now, received_at)

    def own(self, event: Event) -> Candidate:
        """Make a candidate of an event that Trailkeeper itself records; the same rules hold for it."""
        now = self.now()
        line = event.model_dump_json(exclude_none=True).encode()
        parsed, normal = parse_event(line, self._limits, {})
        return self._admit(parsed, normal, now, format_instant(now))

    def _admit(self, event: Event, normal: bytes, now: datetime, received_at: str) -> Candidate:
        known = self._catalog.check(event.action, event.details)
        if event.resource.type is None:
            normal = with_resource_type(normal, self._catalog.resource_type(event.action))
        retention = self._retentions.of(event.organization_id)
        self._check_time(event.occurred_at, now, retention.visible_from(now), str(retention))
        return Candidate(
            event.id, event.organization_id, to_ms(event.occurred_at), str(retention), normal, received_at, known
        )

    def _check_time(self, occurred_at: datetime, now: datetime, earliest: datetime | None, retention: str) -> None:
        if occurred_at > now + self._skew:
            raise InvalidEvent(
                f"occurred_at is {occurred_at - now} ahead of the server's clock ({format_instant(now)}).",
                field="occurred_at",
                limit=f"{int(self._skew.total_seconds())} s ahead",
                fix="Set the sender's clock (NTP), or send the time at which it happened.",
            )
        if earliest is not None and occurred_at < earliest:
            raise InvalidEvent(
                f"occurred_at is before {format_instant(earliest)}, past the organization's retention of {retention}.",
                field="occurred_at",
                limit=retention,
                fix="Give the organization a longer retention first: `trailkeeper retention set ORGANIZATION 3650d`.",
            )
