"""The endpoints under `/v1/organizations/{organization_id}/audit-logs`: a page, the filters, one event.

Each is the same four steps: the gate (`admit`), the parameters, the store, the view on the trail; then the answer. The
events are the stored bytes, put into the answer as they are.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from audit.errors import NotFound
from audit.event import Context, StoredEvent
from audit.query import Query
from search_api import parsing
from search_api.cursors import digest
from search_api.documentation import CURSOR_ERRORS, ERRORS, FOUND, PAGE, AuditLogPage, Filters
from search_api.documentation import parameters as documented
from search_api.parameters import FILTERS, LISTING, Parameter
from search_api.problems import ProblemRoute, request_id
from search_api.reader import AdmittedReader, Reader
from search_api.service import SearchApi
from search_api.views import View

FACET_SIZE = 1000
"""How many of each field the filters list."""

router = APIRouter(
    # An organization's id is any text, so it may have a slash in it.
    prefix="/v1/organizations/{organization_id:path}/audit-logs",
    tags=["audit logs"],
    route_class=ProblemRoute,
    responses=ERRORS,
)


@router.get(
    "",
    operation_id="list_audit_logs",
    summary="A page of the trail",
    response_model=AuditLogPage,
    responses={**PAGE, **CURSOR_ERRORS},
    openapi_extra=documented(LISTING),
)
def list_audit_logs(request: Request, reader: AdmittedReader) -> Response:
    """List events, newest first unless `order` says otherwise. Within a parameter, values are alternatives; between
    parameters, all must hold. Follow `next_cursor`, or the Link header, until it is null: no event is lost or repeated.
    """
    api, values, query = _asked(request, reader, LISTING)
    limit = parsing.to_limit(values, api.settings.page_limit)
    after = api.cursors.read(values["cursor"][0], query, api.clock()) if "cursor" in values else None
    page = api.store.search(query, limit=limit, after=after)
    _view(request, reader, b"list" + digest(query), {"query": _shown(values)})
    following = api.cursors.write(query, page.next, api.clock()) if page.next is not None else None
    content = b'{"items":[%b],"next_cursor":%b}' % (b",".join(page.items), orjson.dumps(following))
    response = Response(content, media_type="application/json")
    if following is not None:
        again = urlencode({**values, "cursor": following}, doseq=True)
        response.headers["Link"] = f'<{quote(request.scope["path"])}?{again}>; rel="next"'
    return response


# Before the one with {id}, which would take "filters" for an id.
@router.get(
    "/filters",
    operation_id="list_audit_log_filters",
    summary="What occurs under the current filters",
    response_model=Filters,
    responses=FOUND,
    openapi_extra=documented(FILTERS),
)
def list_filters(request: Request, reader: AdmittedReader) -> Response:
    """Count the actions, resource types and actors of the events that match, to offer them as filters."""
    api, values, query = _asked(request, reader, FILTERS)
    facets = api.store.facets(query, size=FACET_SIZE)
    _view(request, reader, b"filters" + digest(query), {"filters": True, "query": _shown(values)})
    known = api.catalog.actions
    content = {
        "actions": [
            {"value": name, "description": known[name].description if name in known else None, "count": count}
            for name, count in facets.actions.items()
        ],
        "resource_types": [{"value": name, "count": count} for name, count in facets.resource_types.items()],
        "actors": facets.actors,
    }
    return Response(orjson.dumps(content), media_type="application/json")


@router.get("/{id}", operation_id="get_audit_log", summary="One event", response_model=StoredEvent, responses=FOUND)
def get_audit_log(
    request: Request,
    reader: AdmittedReader,
    event_id: Annotated[
        str,
        Path(
            alias="id",
            description="The event's id, a UUIDv7.",
            examples=["019ab1f0-5c00-7000-8000-000000000001"],
        ),
    ],
) -> Response:
    """Give one event, exactly as it was stored."""
    api, _, query = _asked(request, reader, ())
    wanted = parsing.to_event_id(event_id)
    event = api.store.get(query, wanted)
    _view(request, reader, b"event" + wanted.encode(), {"event_id": wanted, "found": event is not None})
    if event is None:
        raise NotFound("There is no such event.", fix="It may have passed its retention; check the id.")
    return Response(event, media_type="application/json")


def _asked(request: Request, reader: Reader, allowed: tuple[Parameter, ...]) -> tuple[SearchApi, parsing.Values, Query]:
    """Read the parsing. Visibility is set here, and nothing in the URL reaches it."""
    values = parsing.read(request.scope["query_string"], allowed)
    visible_from = reader.api.visible_from(reader.organization_id)
    query = parsing.to_query(values, reader.organization_id, visible_from, reader.api.catalog)
    return reader.api, values, query


def _view(request: Request, reader: Reader, name: bytes, details: Mapping[str, Any]) -> None:
    """Put the reading on the trail; after it was done, before its answer leaves."""
    reader.api.views.record(View(reader.principal, name, details, _context(request)))


def _shown(values: parsing.Values) -> dict[str, Any]:
    """The query as the trail tells it: in the URL's words, without what only pages through it."""
    single = {parameter.name for parameter in LISTING if not parameter.repeatable}
    return {
        name: texts[0] if name in single else list(texts)
        for name, texts in values.items()
        if name not in ("cursor", "limit")
    }


def _context(request: Request) -> Context:
    try:
        ip = str(ip_address(request.client.host)) if request.client is not None else None
    except ValueError:  # a Unix socket, or a test's made-up client
        ip = None
    agent = "".join(letter for letter in request.headers.get("user-agent", "") if letter.isprintable())[:1024]
    return Context(ip=ip, user_agent=agent or None, request_id=request_id(request))
