"""AWS CloudTrail records as events.

Field by field after AWS's "CloudTrail record contents" (event version 1.0x). What has a place in an event goes there; all
the rest of the record stays as it is in `details`, so that nothing of it is lost.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from audit.errors import InvalidEvent
from audit.ids import derived_id
from audit.instants import format_instant, parse_instant, to_ms

SOURCE = "aws.cloudtrail"
_USERS = frozenset({"IAMUser", "Root", "FederatedUser", "IdentityCenterUser", "WebIdentityUser", "SAMLUser"})
_DENIALS = ("AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation", "AccessDeniedException")
# The request parameter that names what an action was about, most telling first, where the record lists no resources.
_NAMING = ("instanceId", "bucketName", "roleName", "userName", "functionName", "keyId", "groupId", "volumeId", "name")
_MOVED = frozenset({"eventID", "eventTime", "@timestamp", "eventName", "eventSource"})
_CONTEXT = {"userAgent": "user_agent", "requestID": "request_id", "sourceIPAddress": "ip"}
_LONGEST = {"user_agent": 1024, "request_id": 256}
_DEEPEST = 7  # levels below details that the default limit allows


def convert(record: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Turn one record into the fields of an event. Raises InvalidEvent naming what a CloudTrail record must have."""
    name, service = _needed(record, "eventName"), _needed(record, "eventSource").split(".")[0]
    try:
        occurred_at = parse_instant(record.get("eventTime") or record.get("@timestamp"))
    except ValueError as error:
        raise InvalidEvent(f"eventTime {error}", field="eventTime") from None
    resource_type, verb = _snake(service, "eventSource"), _snake(name, "eventName")
    resource_id = _resource_id(record)
    context = _context(record)
    event: dict[str, Any] = {
        # The organization is in it, because ids are one space: another's import of the same file is no conflict.
        "id": derived_id(
            to_ms(occurred_at),
            "cloudtrail",
            organization_id,
            str(record.get("recipientAccountId")),
            _needed(record, "eventID"),
        ),
        "occurred_at": format_instant(occurred_at),
        "organization_id": organization_id,
        "actor": _actor(_object(record.get("userIdentity"))),
        "action": f"{resource_type}.{verb}",
        "resource": {"type": resource_type, **({"id": resource_id} if resource_id else {})},
        "outcome": _outcome(record.get("errorCode")),
        # What found no place in the context stays too: a service's host name, where AWS itself made the call.
        "details": {
            key: _shallow(value, 1)
            for key, value in record.items()
            if key not in _MOVED and _CONTEXT.get(key) not in context and value is not None
        },
        "context": context,
        "source": SOURCE,
    }
    return event


def _needed(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidEvent(
            f"The record has no {name}.", field=name, fix="Import CloudTrail records, one JSON object a line."
        )
    return value


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any, longest: int) -> str | None:
    """Give a text as a field of an event has it: None for what is none, cut where it is too long."""
    if not isinstance(value, str) or not value:
        return None
    return value if len(value) <= longest else value[: longest - 1] + "…"


def _actor(identity: Mapping[str, Any]) -> dict[str, Any]:
    kind = identity.get("type")
    if kind == "AWSService" or not identity:
        service = _text(identity.get("invokedBy"), 256) or "aws"
        return {"type": "service", "id": service, "name": service}
    issuer = _object(_object(identity.get("sessionContext")).get("sessionIssuer"))
    named = (_text(identity.get(key), 256) for key in ("arn", "principalId", "accountId"))
    actor = {
        "type": "user" if isinstance(kind, str) and kind in _USERS else "service",
        "id": next(filter(None, named), "unknown"),
    }
    name = _text(identity.get("userName"), 256) or _text(issuer.get("userName"), 256)
    return {**actor, "name": name} if name else actor


def _resource_id(record: Mapping[str, Any]) -> str | None:
    resources = record.get("resources")
    parameters = _object(record.get("requestParameters"))
    named = [_object(each).get("ARN") for each in resources] if isinstance(resources, list) else []
    return next((text for value in (*named, *map(parameters.get, _NAMING)) if (text := _text(value, 512))), None)


def _context(record: Mapping[str, Any]) -> dict[str, str]:
    """Take what fits as it is; what does not stays in details."""
    found = {name: record.get(key) for key, name in _CONTEXT.items()}
    context = {name: value for name, most in _LONGEST.items() if (value := found[name]) and value == _text(value, most)}
    with suppress(ValueError):
        context["ip"] = str(ip_address(_text(found["ip"], 64) or ""))
    return context


def _outcome(error_code: Any) -> str:
    if not error_code:
        return "success"
    return "denied" if str(error_code).endswith(_DENIALS) else "failure"


def _snake(name: str, field: str) -> str:
    """`DescribeDBInstances` → `describe_db_instances`."""
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", name)
    snake = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    if not snake:
        raise InvalidEvent(f"{field} {name!r} makes no action.", field=field, fix="Import CloudTrail records.")
    return snake if snake[0].isalpha() else f"aws_{snake}"


def _shallow(value: Any, depth: int) -> Any:
    """Keep what is nested deeper than details may be as JSON text."""
    if not isinstance(value, dict | list):
        return value
    if depth > _DEEPEST:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return {key: _shallow(item, depth + 1) for key, item in value.items()}
    return [_shallow(item, depth + 1) for item in value]
