"""The one place that turns errors into problem documents (RFC 9457), and puts the headers on that every answer has.

What is ours (`TrailkeeperError`) tells the caller what to do. What is not is logged under an id; the caller is given the
id and nothing else. Engine errors are logged too: an engine's own words are for the operator.
"""

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from re import compile as pattern
from traceback import format_exception
from typing import Any
from uuid import uuid4

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from audit.errors import DiskFull, Forbidden, StoreUnavailable, TrailkeeperError, Unauthenticated, type_prefix
from audit.ids import new_id

MEDIA_TYPE = "application/problem+json"
REALM = 'Bearer realm="trailkeeper"'

_log = structlog.get_logger("trailkeeper.search")
_usable_request_id = pattern(r"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch


class ProblemRoute(APIRoute):
    """A route whose every error is a problem, and whose every answer has the service's headers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler that FastAPI makes."""
        handle = super().get_route_handler()

        async def handle_with_problems(request: Request) -> Response:
            try:
                response = await handle(request)
            except Exception as error:
                return answer(request, error)
            return with_headers(request, response)

        return handle_with_problems


def install(app: FastAPI) -> None:
    """Answer with problems where no route of ours is in between: unknown paths, wrong methods."""

    async def handler(request: Request, error: Exception) -> Response:
        return answer(request, error)

    for kind in (TrailkeeperError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handler)


def answer(request: Request, error: Exception) -> Response:
    """Make the answer to a request that failed."""
    headers: dict[str, str] = {}
    document: Mapping[str, Any]
    if isinstance(error, TrailkeeperError) and error.status < 500:
        document = error.problem()
    elif isinstance(error, TrailkeeperError):
        document = _of_unavailable(error)
    elif isinstance(error, HTTPException):
        document = _of_http(error.status_code)
        headers |= error.headers or {}
    elif isinstance(error, RequestValidationError):
        document = _of_validation(error)
    else:
        document = _of_surprise(error)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = challenge("authorization" in request.headers)
    elif isinstance(error, Forbidden):
        headers["WWW-Authenticate"] = f'{REALM}, error="insufficient_scope"'
    if isinstance(error, TrailkeeperError) and error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    response = Response(orjson.dumps(document), document["status"], headers, MEDIA_TYPE)
    return with_headers(request, response)


def challenge(had_token: bool) -> str:
    """Write the WWW-Authenticate header (RFC 6750, section 3): no error code for a request that brought nothing."""
    return f'{REALM}, error="invalid_token"' if had_token else REALM


def with_headers(request: Request, response: Response) -> Response:
    """Put on what every answer has: nobody keeps it, nobody guesses its type, and it can be found in the logs."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-Id"] = request_id(request)
    return response


def request_id(request: Request) -> str:
    """Give the id the request came with, where it is a usable one; else one made here, the same each time."""
    known: str | None = getattr(request.state, "request_id", None)
    if known is None:
        sent = request.headers.get("x-request-id", "")
        known = request.state.request_id = sent if _usable_request_id(sent) else new_id()
    return known


def _of_unavailable(error: TrailkeeperError) -> Mapping[str, Any]:
    document = error.problem()
    if isinstance(error, StoreUnavailable | DiskFull):
        _log.error("store_failed", error=str(error))
        document |= {"detail": "The event store doesn't answer.", "fix": "Try again later."}
    return document


def _of_http(status: int) -> Mapping[str, Any]:
    phrase = HTTPStatus(status).phrase
    document: dict[str, Any] = {
        "type": type_prefix + phrase.lower().replace(" ", "-"),
        "title": phrase,
        "status": status,
        "detail": HTTPStatus(status).description or phrase,
    }
    if status == HTTPStatus.NOT_FOUND:
        document |= {"detail": "There is no such path.", "fix": "The API's paths are in /openapi.json."}
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        document |= {"detail": "This path does not take that method.", "fix": "Use one that the Allow header names."}
    return document


def _of_validation(error: RequestValidationError) -> Mapping[str, Any]:
    first = error.errors()[0]
    return {
        "type": type_prefix + "invalid",
        "title": "The request is not valid",
        "status": 422,
        "detail": f"{first['msg']}.",
        "field": ".".join(str(step) for step in first["loc"][1:]),
        "fix": "See the API's description in /openapi.json.",
    }


def _of_surprise(error: Exception) -> Mapping[str, Any]:
    instance = f"urn:uuid:{uuid4()}"
    # As text, because a renderer that shows local variables would show tokens.
    _log.error("unexpected_error", instance=instance, traceback="".join(format_exception(error)))
    return {
        **TrailkeeperError("Something went wrong here; it is in the log under this instance.").problem(),
        "instance": instance,
        "fix": "Give the instance to the operator.",
    }
