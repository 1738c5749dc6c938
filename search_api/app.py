"""Composes the search API: as an application of its own, or into one that has other routes.

    app = create_app(store=…, retentions=…, keys=…, catalog=…, settings=…, record=…)

    app = FastAPI()
    add_routes(app, compose(store=…, …))        # beside ingest's, in one process and one OpenAPI document

The lifespan comes with the routes: it records finished windows of views, and at shutdown the open ones.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

from fastapi import FastAPI

from audit.catalog import Catalog
from audit.event import Event
from audit.instants import utc_now
from audit.settings import Settings
from search_api import audit_logs, documentation, problems
from search_api.authentication import Authentication
from search_api.cursors import Cursors, cursor_secret
from search_api.service import SearchApi
from search_api.tokens import Tokens
from search_api.views import Views
from store.keys import Keys
from store.protocol import Store
from store.retentions import Retentions

FLUSH_SECONDS = 10.0
"""How long after its end a window of views is recorded, at most."""


def compose(
    *,
    store: Store,
    retentions: Retentions,
    keys: Keys,
    catalog: Catalog,
    settings: Settings,
    record: Callable[[Event], None],
    clock: Callable[[], datetime] = utc_now,
) -> SearchApi:
    """Put the service together. The store isn't asked for anything yet.

    `record` puts one event on the trail: it returns when the event is committed, and raises where it can't be. Raises
    ConfigurationError for settings that can't work.
    """
    return SearchApi(
        store=store,
        retentions=retentions,
        catalog=catalog,
        settings=settings,
        authentication=Authentication(keys, Tokens(settings), settings),
        cursors=Cursors(lambda: cursor_secret(settings, store.records), settings.cursor_hours),
        views=Views(record, clock),
        clock=clock,
    )


def create_app(
    *,
    store: Store,
    retentions: Retentions,
    keys: Keys,
    catalog: Catalog,
    settings: Settings,
    record: Callable[[Event], None],
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Make the search API as an application of its own. See `compose` for the arguments and errors."""
    app = FastAPI(
        title="Trailkeeper",
        summary="Find what happened in an organization's audit trail.",
        redirect_slashes=False,
    )
    api = compose(
        store=store,
        retentions=retentions,
        keys=keys,
        catalog=catalog,
        settings=settings,
        record=record,
        clock=clock,
    )
    add_routes(app, api)
    return app


def add_routes(app: FastAPI, api: SearchApi) -> None:
    """Add the search API's routes, its handling of errors, its part of OpenAPI and its lifespan to an application."""
    app.state.search_api = api
    app.include_router(audit_logs.router)
    problems.install(app)
    documentation.describe(app)
    around = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with around(application) as state, _recording(api.views):
            yield state or {}

    app.router.lifespan_context = lifespan


@contextlib.asynccontextmanager
async def _recording(views: Views) -> AsyncIterator[None]:
    """Record finished windows while the application runs, and all of them when it ends."""

    async def flush() -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await asyncio.to_thread(views.flush)

    task = asyncio.create_task(flush())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(views.close)
