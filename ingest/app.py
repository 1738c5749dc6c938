"""HTTP's way in: `POST /v1/events`.

The endpoint is plain ASGI, because it is the one path that every event takes; everything around it is FastAPI. An answer
tells about each event in order, so that a sender knows which to send again (none that were accepted) and which to mend.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit.access import KeyScope, Writer
from audit.errors import InvalidQuery, MalformedBody, TrailkeeperError, Unauthenticated
from audit.settings import Settings
from ingest.decode import decode, too_many_bytes
from ingest.openapi import describe
from ingest.pipeline import Accepted, Pipeline, Rejected, Taken
from store.keys import Keys

_log = structlog.get_logger("trailkeeper.ingest")
PATH = "/v1/events"
# With the 4 s for which keys are remembered (store/remembered.py), a revoked one ends within 5.
_KEY_SECONDS = 1.0


class EventsEndpoint:
    """`POST /v1/events` as an ASGI application."""

    def __init__(self, pipeline: Pipeline, keys: Keys, settings: Settings) -> None:
        self._pipeline = pipeline
        self._keys = keys
        self._settings = settings
        self._writers: dict[str, tuple[Writer, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        try:
            status, body = await self._answer(scope, receive)
            headers: list[tuple[bytes, bytes]] = []
        except TrailkeeperError as error:
            status, body, headers = error.status, orjson.dumps(error.problem()), _error_headers(error)
        except Exception:
            _log.exception("request_failed")
            status, body, headers = 500, orjson.dumps(TrailkeeperError("The request failed.").problem()), []
        problem = status >= 400
        kind = b"application/problem+json" if problem else b"application/json"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        writer = await self._writer(headers.get(b"authorization", b""))
        ack = _ack(scope["query_string"])
        body = await _read(receive, headers, self._settings.request_bytes)
        lines, single = decode(
            body,
            headers.get(b"content-type", b"").decode("latin-1"),
            headers.get(b"content-encoding", b"").decode("latin-1"),
            max_bytes=self._settings.request_bytes,
            max_events=self._settings.request_events,
        )
        taken = await self._pipeline.take(lines, writer, ack)
        if single and isinstance(taken[0], Rejected):
            raise taken[0].error
        return 202, _answer(taken)

    async def _writer(self, authorization: bytes) -> Writer:
        """Find whose key it is. A key that held is not asked for again for a second."""
        scheme, _, token = authorization.decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "There is no ingest key.",
                field="Authorization",
                fix="Send `Authorization: Bearer tk_…`; `trailkeeper keys create` makes a key.",
            )
        known = self._writers.get(token)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        writer = await asyncio.to_thread(self._verify, token.strip())
        if len(self._writers) > 10_000:
            self._writers.clear()
        self._writers[token] = (writer, time.monotonic() + _KEY_SECONDS)
        return writer

    def _verify(self, token: str) -> Writer:
        key = self._keys.verify(token, KeyScope.INGEST)
        return Writer(key.id, key.organization_id)


def add_routes(app: FastAPI, pipeline: Pipeline, keys: Keys, settings: Settings) -> None:
    """Add ingest's endpoint to an application, and describe it in the application's OpenAPI document."""
    endpoint = EventsEndpoint(pipeline, keys, settings)
    # As a route it answers other methods with 405, and is where an application mounted under a path finds it.
    app.router.routes.append(Route(PATH, endpoint, methods=["POST"]))
    app.add_middleware(_ShortWay, endpoint=endpoint)
    rest = app.openapi

    def openapi() -> dict[str, Any]:
        document = rest()
        if PATH not in document["paths"]:
            document["paths"][PATH] = {"post": describe(document)}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


class _ShortWay:
    """Brings events straight to their endpoint, which answers its own errors: past routing and what else is around it.

    For small requests that is a fifth of the time one takes (`python -m bench ack_single`).
    """

    def __init__(self, app: ASGIApp, endpoint: EventsEndpoint) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await self._endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _read(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Read a body, never more than `limit` bytes of it."""
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > limit:
        raise too_many_bytes(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("The request was cut short.", fix="Send all of it.")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_many_bytes(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _ack(query: bytes) -> str | None:
    if not query:
        return None
    if query in (b"ack=committed", b"ack=indexed", b"ack=searchable"):
        word = query[4:].decode()
        return None if word == "committed" else word
    raise InvalidQuery(
        "The query string isn't understood.",
        field="ack",
        fix="Use ?ack=committed (the default), ?ack=indexed or ?ack=searchable, and nothing else.",
    )


def _answer(taken: Sequence[Taken]) -> bytes:
    """Write the answer for one request. The ids are UUIDs: no text of a sender's is in here unescaped."""
    results: list[bytes] = []
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    for item in taken:
        if isinstance(item, Accepted):
            status = "duplicate" if item.duplicate else "accepted"
            results.append(f'{{"id":"{item.id}","status":"{status}"}}'.encode())
        else:
            status = "rejected"
            results.append(orjson.dumps({"id": item.id, "status": status, "problem": item.error.problem()}))
        counts[status] += 1
    return b'{"results":[%b],%b' % (b",".join(results), orjson.dumps(counts)[1:])


def _error_headers(error: TrailkeeperError) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="trailkeeper"'))  # RFC 6750, section 3
    return headers
