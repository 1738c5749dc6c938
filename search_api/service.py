"""What the endpoints need, in one value that an application carries as `app.state.search_api`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from starlette.requests import Request

from audit.catalog import Catalog
from audit.settings import Settings
from search_api.authentication import Authentication
from search_api.cursors import Cursors
from search_api.views import Views
from store.protocol import Store
from store.retentions import Retentions


@dataclass(frozen=True, slots=True)
class SearchApi:
    """The search API's parts. Make it with `search_api.app.compose`."""

    store: Store
    retentions: Retentions
    catalog: Catalog
    settings: Settings
    authentication: Authentication
    cursors: Cursors
    views: Views
    clock: Callable[[], datetime]

    def visible_from(self, organization_id: str) -> datetime | None:
        """Give the instant before which an organization's events have passed their retention; None: never."""
        return self.retentions.of(organization_id).visible_from(self.clock())


def search_api_of(request: Request) -> SearchApi:
    """Give the service that the request's application was composed with."""
    return cast("SearchApi", request.app.state.search_api)
