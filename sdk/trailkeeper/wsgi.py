"""For WSGI applications (Flask, Django, Pyramid): the request's context on its events."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars, get_contextvars

from trailkeeper.request_context import TrustedProxies, request_fields

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class AuditContextMiddleware:
    """Binds ip, user_agent, request_id and trace_id to structlog's contextvars for the time of a request.

    Each request runs in a context of its own, its response's body included. Server threads serve one request after
    the other, so what the application binds, its organization_id and actor for two, would else be the next one's.
    X-Forwarded-For is read only where the peer is one of `trusted_proxies`.
    """

    def __init__(self, app: WSGIApplication, *, trusted_proxies: Iterable[str] = ()) -> None:
        self._app = app
        self._proxies = TrustedProxies(trusted_proxies)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""

        def header(name: str) -> str | None:
            return environ.get(f"HTTP_{name.upper().replace('-', '_')}")

        fields = request_fields(self._proxies, environ.get("REMOTE_ADDR"), header)
        context = contextvars.copy_context()
        context.run(lambda: bind_contextvars(**{**fields, **get_contextvars()}))
        return _Body(context, context.run(self._app, environ, start_response))


class _Body:
    """A response's body that is made, and closed, in its request's context."""

    def __init__(self, context: contextvars.Context, body: Iterable[bytes]) -> None:
        self._run: Callable[..., Any] = context.run
        self._body = body
        self._parts: Iterator[bytes] = context.run(iter, body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part: bytes = self._run(next, self._parts)
        return part

    def close(self) -> None:
        """Close the application's body, where it has a close (PEP 3333)."""
        close = getattr(self._body, "close", None)
        if close is not None:
            self._run(close)
