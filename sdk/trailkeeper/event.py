"""From what a call passed to an event: names to fields, defaults, checks, everything else into details.

What is checked here is what a developer can get wrong in a call. The limits that are settings of the server (bytes,
depth, clock) are left to it; `capture_audit` and tests look at their defaults through `trailkeeper.limits`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from structlog.contextvars import get_contextvars

from trailkeeper.actions import check_action
from trailkeeper.actor import wire_actor
from trailkeeper.clock import format_ms, wire_instant
from trailkeeper.errors import InvalidEventError
from trailkeeper.text import identifier, label
from trailkeeper.uuid7 import check_id, new_id

CONTEXT_FIELDS = {"ip": 45, "user_agent": 1024, "request_id": 256, "trace_id": 256, "session_id": 256}
# What a call, bind() or bind_contextvars() may set. Anything else in a call or bind() goes into details.
FIELDS = frozenset(
    {
        "id", "occurred_at", "organization_id", "actor", "resource", "resource_type", "resource_id", "resource_name",
        "outcome", "details", "context", "source", *CONTEXT_FIELDS,
    }
)  # fmt: skip
_OUTCOMES = {name: name for name in ("success", "failure", "denied")}
_RESOURCE_FIELDS = frozenset({"type", "id", "name"})
_one_part = re.compile(r"[a-z][a-z0-9_]*").fullmatch


def to_event(entry: Mapping[str, Any], source: str | None) -> dict[str, Any]:
    """Make the event of a structlog entry, in the order of the wire's normal form.

    Fields that the entry lacks are taken from structlog's contextvars; other contextvars are the log's business and
    stay out. Raises InvalidEventError naming the first field that is wrong and its fix.
    """
    fields = dict(entry)
    for key, value in get_contextvars().items():
        if key in FIELDS and key not in fields:
            fields[key] = value
    take = fields.pop

    now = time.time_ns()
    ident, occurred_at = take("id", None), take("occurred_at", None)
    organization = take("organization_id", None)
    if organization is None:
        raise InvalidEventError("organization_id", "is missing.", "Bind it: audit = audit.bind(organization_id=…).")
    event = {
        "id": new_id(now) if ident is None else check_id(ident),
        "occurred_at": format_ms(now // 1_000_000) if occurred_at is None else wire_instant(occurred_at),
        "organization_id": identifier(organization, "organization_id", 128),
        "actor": wire_actor(take("actor", None)),
        "action": check_action(take("event", None)),
        "resource": _resource(take("resource", None), take),
    }
    outcome = take("outcome", None) or "success"
    try:
        event["outcome"] = _OUTCOMES[outcome]
    except (KeyError, TypeError):
        raise InvalidEventError("outcome", f"is {outcome!r:.50}.", "It is success, failure or denied.") from None

    details, context = take("details", None), take("context", None)
    own_source = take("source", None) or source
    if context is not None:
        if not isinstance(context, Mapping):
            raise InvalidEventError("context", f"is a {type(context).__name__}.", "Pass a dict, or ip=…, request_id=….")
        fields = {**context, **fields}
    context = _context(fields)
    if details is not None and not isinstance(details, Mapping):
        raise InvalidEventError("details", f"is a {type(details).__name__}.", "Pass a dict.")
    if fields:  # whatever was no field of an event
        details = {**fields, **details} if details else fields
    if details:
        event["details"] = details if type(details) is dict else dict(details)
    if context:
        event["context"] = context
    if own_source:
        event["source"] = identifier(own_source, "source", 128)
    return event


def _resource(whole: Any, take: Any) -> dict[str, str]:
    kind, ident, name = take("resource_type", None), take("resource_id", None), take("resource_name", None)
    if whole is not None:
        if not isinstance(whole, Mapping) or not _RESOURCE_FIELDS.issuperset(whole):
            raise InvalidEventError(
                "resource", f"is {whole!r:.80}.", 'Write it like {"type": "api_key", "id": "k_1", "name": "CI"}.'
            )
        # The parts of a call are closer than a whole that was bound before.
        kind = whole.get("type") if kind is None else kind
        ident = whole.get("id") if ident is None else ident
        name = whole.get("name") if name is None else name
    resource = {}
    if kind is not None and kind != "":
        resource["type"] = _resource_type(str(kind))
    if ident is not None and ident != "":
        resource["id"] = identifier(ident, "resource.id", 512)
    if name is not None and name != "":
        resource["name"] = label(name, 512)
    return resource


@lru_cache(maxsize=512)
def _resource_type(kind: str) -> str:
    if len(kind) > 128 or not _one_part(kind):
        raise InvalidEventError(
            "resource.type", f"is {kind!r:.50}.", "Write it like api_key: lower case, digits and underscores."
        )
    return kind


def _context(fields: dict[str, Any]) -> dict[str, str]:
    """Take the context's fields out of `fields`. An ip that is no address stays, and so goes into details."""
    context = {}
    for name, longest in CONTEXT_FIELDS.items():
        if name in fields:
            value = fields[name]
            if value is None or value == "":
                del fields[name]
            elif name != "ip" or (value := address(str(value))) is not None:
                context[name] = label(value, longest)
                del fields[name]
    return context


@lru_cache(maxsize=4096)
def address(text: str) -> str | None:
    """Return an address in its canonical text, an IPv4-mapped IPv6 one as IPv4, None where it is no address."""
    from ipaddress import ip_address

    try:
        ip = ip_address(text)
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)
