"""For ASGI applications (Starlette, FastAPI, Litestar, Quart, Django's ASGI): the request's context on its events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from trailkeeper.request_context import TrustedProxies, request_fields

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class AuditContextMiddleware:
    """Binds ip, user_agent, request_id and trace_id to structlog's contextvars for the time of a request.

    What was bound before, by an outer middleware, wins; what the application binds within, its organization_id and actor
    for two, is gone when the request is over. X-Forwarded-For is read only where the peer is one of `trusted_proxies`.
    """

    def __init__(self, app: ASGIApp, *, trusted_proxies: Iterable[str] = ()) -> None:
        self._app = app
        self._proxies = TrustedProxies(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]

        def header(name: str) -> str | None:
            wanted = name.encode()
            values = [value.decode("latin-1") for key, value in headers if key.lower() == wanted]
            return ", ".join(values) if values else None

        client = scope.get("client")
        before = get_contextvars()
        bind_contextvars(**{**request_fields(self._proxies, client[0] if client else None, header), **before})
        try:
            await self._app(scope, receive, send)
        finally:
            clear_contextvars()
            bind_contextvars(**before)
