"""What OpenAPI says beyond what FastAPI sees: the shapes of answers, and that every error is a problem document."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from audit.errors import (
    Forbidden,
    InvalidCursor,
    InvalidQuery,
    NotFound,
    StoreUnavailable,
    TrailkeeperError,
    Unauthenticated,
    type_prefix,
)
from audit.event import ActorType, StoredEvent
from search_api.parameters import Parameter
from search_api.problems import MEDIA_TYPE


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="What kind of problem it is, for programs.", examples=[type_prefix + "invalid-query"])
    title: str = Field(description="The same for people.", examples=["The query is not valid"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong.", examples=["There is no parameter 'resource' here."])
    field: str | None = Field(default=None, description="Where: a parameter's or claim's name.", examples=["resource"])
    limit: int | str | None = Field(default=None, description="The bound that was crossed.")
    fix: str | None = Field(default=None, description="What to do next.", examples=["Did you mean resource_id?"])
    instance: str | None = Field(default=None, description="Where the log has this failure (500 alone).")


class AuditLogPage(BaseModel):
    """Events in the order that was asked for."""

    items: list[StoredEvent] = Field(description="Each exactly as it was stored.")
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


class ActionFilter(BaseModel):
    """An action that occurs."""

    value: str = Field(examples=["api_key.create"])
    description: str | None = Field(description="The catalog's description; null for an action outside the catalog.")
    count: int = Field(examples=[12])


class ResourceTypeFilter(BaseModel):
    """A resource type that occurs."""

    value: str = Field(examples=["api_key"])
    count: int = Field(examples=[12])


class ActorFilter(BaseModel):
    """An actor who occurs. `name` and `email` are those of the actor's latest event."""

    type: ActorType
    id: str | None = Field(examples=["u_1"])
    name: str | None = Field(examples=["Ada"])
    email: str | None = Field(examples=["ada@example.com"])
    count: int = Field(examples=[12])


class Filters(BaseModel):
    """What occurs under the current filters, with exact counts, largest first; at most 1,000 of each."""

    actions: list[ActionFilter]
    resource_types: list[ResourceTypeFilter]
    actors: list[ActorFilter]


_REQUEST_ID = {
    "X-Request-Id": {"description": "The request's own, or one made here.", "schema": {"type": "string"}},
}
_CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750, section 3.", "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_LINK = {"Link": {"description": 'The next page, rel="next" (RFC 8288).', "schema": {"type": "string"}}}

_Responses = dict[int | str, dict[str, Any]]


def problem(error: type[TrailkeeperError], description: str, headers: dict[str, Any] | None = None) -> _Responses:
    """Document one error's response, with an example of its document."""
    example = {"type": type_prefix + error.slug, "title": error.title, "status": error.status, "detail": description}
    return {
        error.status: {
            "description": description,
            "headers": {**_REQUEST_ID, **(headers or {})},
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
        }
    }


ERRORS: _Responses = {
    **problem(Unauthenticated, "No bearer token, or one that doesn't hold.", _CHALLENGE),
    **problem(Forbidden, "A role, a key or a plan that may not read the trail.", _CHALLENGE),
    **problem(NotFound, "Not the token's organization, or nothing there."),
    **problem(InvalidQuery, "An unknown parameter, or a value that can't match the grammar."),
    **problem(TrailkeeperError, "Something failed inside; `instance` finds it in the log."),
    **problem(StoreUnavailable, "The store doesn't answer, or the reading can't be recorded.", _RETRY),
}
CURSOR_ERRORS = problem(InvalidCursor, "A cursor that is altered, expired, or another query's or organization's.")
PAGE: _Responses = {200: {"description": "A page of events.", "headers": {**_REQUEST_ID, **_LINK}}}
FOUND: _Responses = {200: {"headers": _REQUEST_ID}}


def parameters(documented: Sequence[Parameter]) -> dict[str, Any]:
    """Give the `openapi_extra` of an endpoint that reads these parameters itself."""
    return {"parameters": [parameter.documented() for parameter in documented]}


def describe(app: FastAPI) -> None:
    """Add the Problem schema that the responses above refer to, to whatever else the application describes."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", Problem.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI's documentation extends it
