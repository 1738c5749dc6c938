"""The middlewares: where a request came from is on its events, and on no other request's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.contextvars import bind_contextvars, get_contextvars

import trailkeeper
from trailkeeper import AuditContextMiddleware, capture_audit
from trailkeeper.request_context import TrustedProxies
from trailkeeper.wsgi import AuditContextMiddleware as WSGIMiddleware

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {
    "User-Agent": "curl/8",
    "X-Request-ID": "req-1",
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    "X-Forwarded-For": "198.51.100.1, 203.0.113.9",
}


async def create(request: Request) -> PlainTextResponse:
    bind_contextvars(organization_id="org_1", actor={"id": "u_1"})
    trailkeeper.get_logger().info("api_key.create")
    return PlainTextResponse("")


async def get_asgi(app: Any, client: tuple[str, int] | None, headers: dict[str, str]) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": client,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


def asgi_context(client: tuple[str, int] | None, headers: dict[str, str], **options: Any) -> dict[str, str]:
    import asyncio

    app = AuditContextMiddleware(Starlette(routes=[Route("/", create)]), **options)

    async def main() -> None:
        await get_asgi(app, client, headers)
        assert get_contextvars() == {}

    with capture_audit() as events:
        asyncio.run(main())
    context: dict[str, str] = events[0]["context"]
    return context


def wsgi_app() -> Flask:
    app = Flask("test")

    @app.get("/")
    def index() -> Response:
        assert "organization_id" not in get_contextvars()
        bind_contextvars(organization_id="org_1", actor={"id": "u_1"})

        def body() -> Iterator[bytes]:
            trailkeeper.get_logger().info("api_key.create")
            yield b"a"
            trailkeeper.get_logger().info("api_key.delete")

        return Response(body())

    return app


def wsgi_context(client: str, headers: dict[str, str], **options: Any) -> dict[str, str]:
    app = wsgi_app()
    app.wsgi_app = WSGIMiddleware(app.wsgi_app, **options)  # type: ignore[method-assign]
    with capture_audit() as events:
        response = app.test_client().get("/", headers=headers, environ_base={"REMOTE_ADDR": client})
        assert response.data == b"a"
        response.close()
    assert get_contextvars() == {}
    assert events[0]["context"] == events[1]["context"]
    context: dict[str, str] = events[0]["context"]
    return context


def test_asgi_binds_where_the_request_came_from() -> None:
    assert asgi_context(("192.0.2.1", 1), HEADERS) == {
        "ip": "192.0.2.1",
        "user_agent": "curl/8",
        "request_id": "req-1",
        "trace_id": TRACE,
    }


def test_wsgi_binds_where_the_request_came_from_for_its_body_too() -> None:
    assert wsgi_context("192.0.2.1", HEADERS) == {
        "ip": "192.0.2.1",
        "user_agent": "curl/8",
        "request_id": "req-1",
        "trace_id": TRACE,
    }


def test_a_server_thread_forgets_one_request_before_the_next() -> None:
    app = wsgi_app()
    app.wsgi_app = WSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]

    with capture_audit() as events:
        for _ in range(2):
            app.test_client().get("/").close()

    assert len({event["context"]["request_id"] for event in events}) == 2


def test_forwarded_addresses_are_believed_from_trusted_proxies_alone() -> None:
    assert asgi_context(("10.0.0.5", 1), HEADERS, trusted_proxies=["10.0.0.0/8"])["ip"] == "203.0.113.9"
    assert wsgi_context("10.0.0.5", HEADERS, trusted_proxies="10.0.0.5")["ip"] == "203.0.113.9"
    assert asgi_context(("10.0.0.5", 1), HEADERS)["ip"] == "10.0.0.5"


@pytest.mark.parametrize(
    ("peer", "forwarded", "ip"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "evil, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, evil", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:DB8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::2", "2001:db8::2"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        (None, "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("testclient", "198.51.100.1", None),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    peer: str | None, forwarded: str | None, ip: str | None
) -> None:
    assert TrustedProxies(["10.0.0.0/8", "unix"]).client_ip(peer, forwarded) == ip


def test_a_network_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(trailkeeper.ConfigurationError, match="trusted_proxies"):
        AuditContextMiddleware(Starlette(), trusted_proxies=["*"])


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 201, "é"])
def test_a_request_id_that_is_none_is_replaced(request_id: str) -> None:
    assert len(wsgi_context("192.0.2.1", {"X-Request-ID": request_id})["request_id"]) == 36


@pytest.mark.parametrize(
    "trace", ["", "00-zz", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE}-b7ad6b7169203331-01"]
)
def test_a_traceparent_that_is_none_is_left_out(trace: str) -> None:
    assert "trace_id" not in asgi_context(("192.0.2.1", 1), {"traceparent": trace})


def test_lifespan_passes_through() -> None:
    import asyncio

    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(AuditContextMiddleware(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
