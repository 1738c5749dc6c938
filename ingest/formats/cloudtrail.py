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
_MOVED = frozenset(
    {"eventID", "eventTime", "@timestamp", "eventName", "eventSource", "sourceIPAddress", "userAgent", "requestID"}
)
_DEEPEST = 7  # levels below details that the default limit allows


def convert(record: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Turn one record into the fields of an event. Raises InvalidEvent naming what a CloudTrail record must have."""
    name, service = _needed(record, "eventName"), _needed(record, "eventSource").split(".")[0]
    try:
        occurred_at = parse_instant(record.get("eventTime") or record.get("@timestamp"))
    except ValueError as error:
        raise InvalidEvent(f"eventTime {error}", field="eventTime") from None
    resource_type = _snake(service)
    resource_id = _resource_id(record)
    event: dict[str, Any] = {
        "id": derived_id(
            to_ms(occurred_at), "cloudtrail", str(record.get("recipientAccountId")), _needed(record, "eventID")
        ),
        "occurred_at": format_instant(occurred_at),
        "organization_id": organization_id,
        "actor": _actor(record.get("userIdentity") or {}),
        "action": f"{resource_type}.{_snake(name)}",
        "resource": {"type": resource_type, **({"id": resource_id} if resource_id else {})},
        "outcome": _outcome(record.get("errorCode")),
        "details": {
            key: _shallow(value, 1) for key, value in record.items() if key not in _MOVED and value is not None
        },
        "context": _context(record),
        "source": SOURCE,
    }
    address = record.get("sourceIPAddress")
    if address and "ip" not in event["context"]:
        event["details"]["sourceIPAddress"] = address  # a service's host name, where AWS itself made the call
    return event


def _needed(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidEvent(
            f"The record has no {name}.", field=name, fix="Import CloudTrail records, one JSON object a line."
        )
    return value


def _actor(identity: Mapping[str, Any]) -> dict[str, Any]:
    kind = identity.get("type")
    if kind == "AWSService" or not identity:
        service = identity.get("invokedBy") or "aws"
        return {"type": "service", "id": service, "name": service}
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    actor = {
        "type": "user" if kind in _USERS else "service",
        "id": identity.get("arn") or identity.get("principalId") or identity.get("accountId") or "unknown",
    }
    name = identity.get("userName") or issuer.get("userName")
    return {**actor, "name": name} if name else actor


def _resource_id(record: Mapping[str, Any]) -> str | None:
    for resource in record.get("resources") or ():
        if arn := resource.get("ARN"):
            return str(arn)
    parameters = record.get("requestParameters") or {}
    return next((value for key in _NAMING if isinstance(value := parameters.get(key), str) and value), None)


def _context(record: Mapping[str, Any]) -> dict[str, str]:
    context = {"user_agent": record.get("userAgent"), "request_id": record.get("requestID")}
    with suppress(ValueError):
        context["ip"] = str(ip_address(record.get("sourceIPAddress", "")))
    return {key: value for key, value in context.items() if value}


def _outcome(error_code: str | None) -> str:
    if not error_code:
        return "success"
    return "denied" if error_code.endswith(_DENIALS) else "failure"


def _snake(name: str) -> str:
    """`DescribeDBInstances` → `describe_db_instances`."""
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _shallow(value: Any, depth: int) -> Any:
    """Keep what is nested deeper than details may be as JSON text."""
    if not isinstance(value, dict | list):
        return value
    if depth > _DEEPEST:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return {key: _shallow(item, depth + 1) for key, item in value.items()}
    return [_shallow(item, depth + 1) for item in value]
