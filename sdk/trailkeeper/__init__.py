"""Emit audit events to Trailkeeper through structlog.

    audit = trailkeeper.get_logger().bind(organization_id="org_1", actor={"type": "user", "id": "u_1"})
    audit.info("api_key.create", resource_id="key_1", resource_name="CI")

logger.py takes the call, event.py makes an event of it, encode.py a line, and delivery/ gets it to ingest.
"""

from trailkeeper.actions import Action
from trailkeeper.actor import Actor
from trailkeeper.asgi import AuditContextMiddleware
from trailkeeper.capture import capture_audit
from trailkeeper.changes import diff
from trailkeeper.delivery import Delivery
from trailkeeper.errors import (
    ConfigurationError,
    DeliveryError,
    InvalidEventError,
    RejectedError,
    TrailkeeperError,
)
from trailkeeper.logger import AuditLogger, get_logger
from trailkeeper.mask import mask
from trailkeeper.pipeline import close, configure, flush
from trailkeeper.processor import AuditProcessor

__all__ = [
    "Action",
    "Actor",
    "AuditContextMiddleware",
    "AuditLogger",
    "AuditProcessor",
    "ConfigurationError",
    "Delivery",
    "DeliveryError",
    "InvalidEventError",
    "RejectedError",
    "TrailkeeperError",
    "capture_audit",
    "close",
    "configure",
    "diff",
    "flush",
    "get_logger",
    "mask",
]
