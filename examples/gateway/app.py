"""The application: routers, the one line of middleware that the audit trail needs, and what the demo adds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

import trailkeeper
from examples.gateway import api_keys, billing, demo_mode, iam_rules, organizations, projects, provider_keys, team
from examples.gateway.state import seed

ORGANIZATION = "org_northwind"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """At the end give the trail a moment for what it has not got yet. The rest is in the journal, for the next start."""
    yield
    await run_in_threadpool(trailkeeper.close, 5)


def create_app(*, demo: bool = False) -> FastAPI:
    """Make the gateway's control plane with its one organization; `demo` lets requests say when they happened."""
    app = FastAPI(title="LLM gateway (a Trailkeeper sample)", lifespan=lifespan)
    app.state.organizations = {ORGANIZATION: seed(ORGANIZATION)}
    for module in (organizations, projects, team, api_keys, iam_rules, provider_keys, billing):
        app.include_router(module.router)
    if demo:
        app.include_router(demo_mode.router)
        app.add_middleware(demo_mode.DemoClock)
    # The address, user agent and request id of each request, on every event that is emitted while it is answered.
    # The sample takes a proxy on its own machine at its word for the caller's address.
    app.add_middleware(trailkeeper.AuditContextMiddleware, trusted_proxies=("127.0.0.1",))
    return app
