"""Whether the process lives, and whether it can answer. No token, and nothing in it about anybody's trail."""

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from audit.errors import TrailkeeperError
from search_api.documentation import Health
from search_api.problems import ProblemRoute
from search_api.service import search_api_of

router = APIRouter(tags=["health"], route_class=ProblemRoute)
_log = structlog.get_logger("trailkeeper.search")


@router.get(
    "/healthz",
    operation_id="live",
    summary="Whether the process lives",
    response_model=Health,
    response_model_exclude_none=True,
)
async def live() -> Response:
    """Answer, and ask nobody else: an orchestrator restarts what fails here, and that doesn't mend a store."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="ready",
    summary="Whether it can answer",
    response_model=Health,
    responses={503: {"description": "The store doesn't answer.", "model": Health}},
)
def ready(request: Request) -> Response:
    """Ask the store. What exactly is wrong with it stands in the log, for the operator alone."""
    try:
        search_api_of(request).store.check()
    except TrailkeeperError as error:
        _log.warning("not_ready", error=str(error))
        return JSONResponse({"status": "unavailable", "store": "The event store doesn't answer."}, 503)
    return JSONResponse({"status": "ready", "store": "ok"})
