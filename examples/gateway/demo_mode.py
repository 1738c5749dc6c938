"""What only the demo has: a clock that a request can set, so that a fortnight passes in seconds. Not to copy."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

import trailkeeper

router = APIRouter(prefix="/demo", tags=["demo"])


@router.post("/flush")
async def flush(timeout: float = 30) -> bool:
    """Wait until ingest has every event that was emitted; tell whether it has."""
    return bool(await run_in_threadpool(trailkeeper.flush, timeout))


class DemoClock:
    """ASGI middleware: the header `X-Demo-Now` (RFC 3339) becomes `occurred_at` of what the request emits.

    The SDK reads every field of an event from structlog's contextvars too, so that no endpoint knows about it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request at the time that its header tells."""
        now = Headers(scope=scope).get("x-demo-now") if scope["type"] == "http" else None
        if now is None:
            await self.app(scope, receive, send)
        else:
            with bound_contextvars(occurred_at=now):
                await self.app(scope, receive, send)
