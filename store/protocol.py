"""What every engine does: take documents in, find them, count them, and let a day go.

The protocols are small on purpose. A `Store` holds events; `Records` holds the few documents that run the service itself
(keys, retentions, secrets); a `Log` numbers and commits events before anybody is told they are safe. SQLite is all three in
one file; OpenSearch is the first two, with ingest's spool as the log before it.

All calls block, and may be made from several threads. Engine errors come out as `audit.errors.StoreUnavailable`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from audit.query import Query


class Document(NamedTuple):
    """One event as an engine takes it."""

    id: str
    organization_id: str
    occurred_at: int
    """Milliseconds since the epoch, UTC: with `retention` it decides which day index the event belongs to."""
    retention: str
    """The organization's retention class, like `90d`."""
    body: bytes
    """The stored event, one JSON object: these exact bytes are kept and given back."""


class Outcome(StrEnum):
    """What became of one document."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    """The same id with the same event was there before: done, and nothing to do."""
    CONFLICT = "conflict"
    """The same id with another event was there before; what stood there still stands."""
    REFUSED = "refused"
    """The engine won't ever take it (a mapping error); for the dead letters."""
    RETRY = "retry"
    """Not now (busy, unavailable, no answer): send this one again, with the same id."""


class Written(NamedTuple):
    """The outcome for one document, with the engine's own words where it said no."""

    outcome: Outcome
    error: str | None = None


class Position(NamedTuple):
    """A place in the order of a trail: by time, ties by id. The next page begins right behind it."""

    occurred_at: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order, each the exact JSON that was stored, and where the next page begins (None: at the end)."""

    items: Sequence[bytes]
    next: Position | None


@dataclass(frozen=True, slots=True)
class ActorCount:
    """An actor as a filter offers it. `name` and `email` are those of the actor's latest event."""

    type: str
    id: str | None
    name: str | None
    email: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What occurs under a query, with exact counts, largest first, ties by name."""

    actions: Mapping[str, int] = field(default_factory=dict)
    resource_types: Mapping[str, int] = field(default_factory=dict)
    actors: Sequence[ActorCount] = ()


@dataclass(frozen=True, slots=True)
class DayPartition:
    """One UTC day of one retention class, as an engine holds it."""

    retention: str
    day: date
    events: int
    bytes: int | None
    """What it takes on disk; None where the engine can't tell by day."""
    name: str
    """The index's name, or for SQLite what it would be."""


class Record(NamedTuple):
    """A small document of the service itself. `version` changes with every write."""

    id: str
    body: dict[str, Any]
    version: str


class Records(Protocol):
    """Small documents by kind and id, with optimistic concurrency."""

    def get(self, kind: str, id: str) -> Record | None:
        """Return one, or None."""
        ...

    def put(self, kind: str, id: str, body: Mapping[str, Any], *, version: str | None) -> Record:
        """Write one. `version` is that of the record it replaces, None where there must be none yet.

        Raises audit.errors.Conflict where somebody else was first.
        """
        ...

    def delete(self, kind: str, id: str) -> None:
        """Remove one; nothing happens where there is none."""
        ...

    def list(self, kind: str) -> Sequence[Record]:
        """Return all of a kind, by id."""
        ...


class Store(Protocol):
    """Where events live."""

    @property
    def records(self) -> Records:
        """The service's own documents, kept beside the events."""
        ...

    def prepare(self) -> None:
        """Make what the engine needs before its first event; harmless when done again, or by several at once."""
        ...

    def check(self) -> None:
        """Return if the engine answers. Raises StoreUnavailable."""
        ...

    def write(self, documents: Sequence[Document], *, searchable: bool = False) -> Sequence[Written]:
        """Write documents, exactly once each however often they come; one outcome each, in order.

        Returns when they are durable; with `searchable`, when a search finds them. Never raises for a single document;
        raises StoreUnavailable where nothing can be said about any of them (all may be sent again).
        """
        ...

    def search(self, query: Query, *, limit: int, after: Position | None = None) -> Page:
        """Return up to `limit` events that match, in the query's order (time, then id), beginning behind `after`."""
        ...

    def get(self, query: Query, id: str) -> bytes | None:
        """Return one event of the query's organization and visibility, whatever its other filters; or None."""
        ...

    def count(self, query: Query) -> int:
        """Count the events that match, exactly."""
        ...

    def facets(self, query: Query, *, size: int) -> Facets:
        """Count what occurs under a query: at most `size` of each field."""
        ...

    def days(self) -> Sequence[DayPartition]:
        """List the days that are held, oldest first."""
        ...

    def delete_day(self, retention: str, day: date) -> int:
        """Delete one UTC day of one retention class for good; return how many events went."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Candidate(NamedTuple):
    """A validated event on its way into a log."""

    id: str
    organization_id: str
    occurred_at: int
    retention: str
    normal: bytes
    """Its normal form, as `audit.wire.parse_event` gives it: what "the same event" is decided by."""
    received_at: str
    known: bool
    """Whether its action is in the catalog."""


class Appended(NamedTuple):
    """What a log did with a candidate: CREATED, DUPLICATE or CONFLICT."""

    outcome: Outcome
    number: int | None = None
    """Its number in the log, where this call gave it one."""


class Log(Protocol):
    """Commits events and numbers them 0, 1, 2, … without a gap."""

    @property
    def log_id(self) -> str:
        """The log's name: `log.id` of every event it took."""
        ...

    def append(self, candidates: Sequence[Candidate]) -> Sequence[Appended]:
        """Commit all new ones in one transaction; when it returns they survive a power cut.

        Stores each as `audit.wire.stamp` makes it. Two candidates with the same id in one call count as sent one after
        the other. Raises audit.errors.DiskFull, with nothing of the call committed.
        """
        ...
