"""The audit logger: a structlog bound logger of its own, so that the application's structlog.configure() stays as it is.

It has one verb an outcome. `bind`, `unbind`, `new` are structlog's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from trailkeeper import pipeline
from trailkeeper.actions import Action

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal, Protocol, Self
    from uuid import UUID

    from trailkeeper.actor import Actor

    Identifier = str | int | UUID

    class _Emit(Protocol):
        def __call__(
            self,
            action: Action | str,
            *,
            organization_id: Identifier = ...,
            actor: Actor | Mapping[str, Any] = ...,
            resource_id: Identifier | None = ...,
            resource_name: str | None = ...,
            resource_type: str | None = ...,
            resource: Mapping[str, Any] | None = ...,
            outcome: Literal["success", "failure", "denied"] = ...,
            details: Mapping[str, Any] | None = ...,
            occurred_at: datetime | str | None = ...,
            ip: str | None = ...,
            user_agent: str | None = ...,
            request_id: str | None = ...,
            trace_id: str | None = ...,
            session_id: str | None = ...,
            context: Mapping[str, Any] | None = ...,
            source: str | None = ...,
            id: Identifier | None = ...,
            **more_details: Any,
        ) -> None: ...

    class _EmitAsync(Protocol):
        async def __call__(self, action: Action | str, **fields: Any) -> None: ...


class _Sink:
    """What the bound logger wraps: the end of the chain, where the entry goes on to the pipeline."""

    def __repr__(self) -> str:
        return "<trailkeeper>"


class AuditLogger(structlog.BoundLoggerBase):
    """Emits audit events. Made by `get_logger()`; immutable, cheap to bind, safe to share.

    The fields are those of the event: organization_id, actor, resource (or resource_type, resource_id, resource_name),
    outcome, details, occurred_at, ip, user_agent, request_id, trace_id, session_id (or context), source, id. A field
    that is not given is taken from structlog's contextvars. Any other keyword goes into details.
    """

    if TYPE_CHECKING:
        info: _Emit
        failure: _Emit
        denied: _Emit
        ainfo: _EmitAsync

        def bind(
            self,
            *,
            organization_id: Identifier = ...,
            actor: Actor | Mapping[str, Any] = ...,
            **fields: Any,
        ) -> Self:
            """Return a logger with these fields added to those that are bound."""
            ...

    else:

        def info(self, action, **fields):
            """Emit an event; its outcome is success unless `outcome` says otherwise."""
            pipeline.emit({**self._context, **fields, "event": action})

        def failure(self, action, **fields):
            """Emit an event whose outcome is failure: it was tried, and did not work."""
            pipeline.emit({**self._context, "outcome": "failure", **fields, "event": action})

        def denied(self, action, **fields):
            """Emit an event whose outcome is denied: a permission check refused it."""
            pipeline.emit({**self._context, "outcome": "denied", **fields, "event": action})

        async def ainfo(self, action, **fields):
            """As `info`, in a thread: for the deliveries that wait, so that the event loop does not."""
            from asyncio import to_thread

            await to_thread(self.info, action, **fields)


def get_logger(**initial_values: Any) -> AuditLogger:
    """Make an audit logger, bound to `initial_values`. It follows `configure()`, whenever that is called."""
    return AuditLogger(_Sink(), (), initial_values)
