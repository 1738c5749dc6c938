"""/healthz, /readyz and /metrics: whether the process lives, what is wrong where something is, and its figures.

No token is needed, and nothing about anybody's trail is told.
"""

from collections.abc import Callable, Mapping

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""Says what is wrong, in a sentence that anybody may read, or None; engines' own words belong in the log."""


def add_health(app: FastAPI, checks: Mapping[str, Check], *, vital: frozenset[str]) -> None:
    """Add the two endpoints. A vital check that fails makes /readyz 503; another one is told with 200 (degraded)."""

    @app.get("/healthz", tags=["health"], summary="Whether the process lives")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Whether it can do its work, and what is wrong",
        responses={503: {"description": "It can't; the body says why."}},
    )
    def readyz() -> JSONResponse:
        problems = {name: problem for name, check in checks.items() if (problem := check()) is not None}
        down = vital & problems.keys()
        status = "unavailable" if down else "degraded" if problems else "ready"
        return JSONResponse(
            {"status": status, "checks": {name: problems.get(name, "ok") for name in checks}},
            status_code=503 if down else 200,
        )


def add_metrics(app: FastAPI, registry: CollectorRegistry) -> None:
    """Add /metrics, in Prometheus' text format."""

    @app.get("/metrics", tags=["health"], summary="Figures for Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
