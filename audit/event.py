"""The event: who did what, when, to which resource.

One vocabulary in the SDK, on the wire, in both stores, in the API and in Dashboards. `Event` is what an application sends;
`StoredEvent` is the same with what ingest adds. Lengths are in characters; the limits that are settings (bytes, depth,
clock) are in `audit.wire`, which turns bytes into events.
"""

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from audit.instants import floor_ms, format_instant, parse_instant

ACTION_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$"
RESOURCE_TYPE_PATTERN = r"^[a-z][a-z0-9_]*$"
UUID7_PATTERN = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-7[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$"


def _text(maximum: int) -> Any:
    return StringConstraints(min_length=1, max_length=maximum)


EventId = Annotated[str, StringConstraints(pattern=UUID7_PATTERN, to_lower=True)]
OrganizationId = Annotated[str, _text(128)]
ActionName = Annotated[str, StringConstraints(pattern=ACTION_PATTERN, max_length=128)]
ResourceType = Annotated[str, StringConstraints(pattern=RESOURCE_TYPE_PATTERN, max_length=128)]
Instant = Annotated[
    datetime,
    BeforeValidator(lambda value: floor_ms(value if isinstance(value, datetime) else parse_instant(value))),
    PlainSerializer(format_instant, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _canonical_ip(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string with an IPv4 or IPv6 address")
    return one_text_an_address(value)


@lru_cache(maxsize=4096)
def one_text_an_address(value: str) -> str:
    """One text for one address, so that a filter finds it however it was written.

    An IPv4 address in an IPv6 one is that IPv4 address. A zone (`%eth0`) means something on one machine only, and
    OpenSearch's `ip` type takes none: it is left out.
    """
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None
    return str(getattr(address, "ipv4_mapped", None) or address).partition("%")[0]


IpAddress = Annotated[str, BeforeValidator(_canonical_ip), WithJsonSchema({"type": "string"})]


class ActorType(StrEnum):
    """What kind of actor it was."""

    USER = "user"
    API_KEY = "api_key"
    SERVICE = "service"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


class Outcome(StrEnum):
    """How it ended: done, tried and failed, or refused by a permission check."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


class _Part(BaseModel):
    """Frozen, and strict about names: an unknown field is an error, so that a typo is never stored as silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Impersonated(_Part):
    """The one on whose behalf the actor acted."""

    type: ActorType = ActorType.USER
    id: Annotated[str, _text(256)]
    name: Annotated[str, _text(256)] | None = None
    email: Annotated[str, _text(320)] | None = None


class Actor(_Part):
    """Who did it. `id` is what the application knows the actor by; `system` and `anonymous` may go without."""

    type: ActorType
    id: Annotated[str, _text(256)] | None = None
    name: Annotated[str, _text(256)] | None = None
    email: Annotated[str, _text(320)] | None = None
    on_behalf_of: Impersonated | None = None


class Resource(_Part):
    """What it was done to. `type` defaults from the catalog; it is not always the action's prefix."""

    type: ResourceType | None = None
    id: Annotated[str, _text(512)] | None = None
    name: Annotated[str, _text(512)] | None = None


class Context(_Part):
    """Where the request came from, so that an event can be found in the application's own logs."""

    ip: IpAddress | None = Field(default=None, description="IPv4 or IPv6 address.")
    user_agent: Annotated[str, _text(1024)] | None = None
    request_id: Annotated[str, _text(256)] | None = None
    trace_id: Annotated[str, _text(256)] | None = None
    session_id: Annotated[str, _text(256)] | None = None


class Event(_Part):
    """One audit event, as an application sends it.

    Without an `id` ingest makes one, and the sender can't retry safely; without an `occurred_at` it is the time of
    receipt. The SDK always sends both.
    """

    id: EventId = Field(description="UUIDv7 made where the event is emitted: the idempotency key.")
    occurred_at: Instant = Field(description="RFC 3339 with offset; stored in UTC, cut to the millisecond.")
    organization_id: OrganizationId = Field(description="The tenant.")
    actor: Actor
    action: ActionName = Field(description="`resource.verb`, dotted lower case.", examples=["api_key.create"])
    resource: Resource = Resource()
    outcome: Outcome = Outcome.SUCCESS
    details: dict[str, Any] | None = Field(
        default=None, description="Any JSON object; by convention `changes: {field: {old, new}}`."
    )
    context: Context | None = None
    source: Annotated[str, _text(128)] | None = Field(default=None, description="Which application emitted it.")


class LogPosition(_Part):
    """Where ingest committed it: every ingest instance is a log, and numbers its events 0, 1, 2, … without a gap."""

    id: str
    index: int


class StoredEvent(Event):
    """The event as it is stored and shown: what was sent, and what ingest adds."""

    received_at: Instant = Field(description="When ingest took it, by the server's clock.")
    log: LogPosition
    catalog: Literal["unknown"] | None = Field(
        default=None, description='"unknown" where the action was in no catalog when it was taken.'
    )
