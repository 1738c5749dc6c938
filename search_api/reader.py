"""The gate in front of every endpoint that shows something of a trail: who asks, and may they?

It is a dependency, so that it has decided before an endpoint runs; endpoints read their parameters themselves, after it.
So the order is always 401, then 404 and 403, then 422, then data, and a parameter tells nothing to somebody outside.
"""

from typing import Annotated, NamedTuple

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from audit.access import Principal, require_reader
from search_api.service import SearchApi, search_api_of

bearer = HTTPBearer(
    scheme_name="bearer",
    description="A JWT of the identity provider whose role is owner or admin, or an API key (`tk_…`) with the scope read.",
    auto_error=False,
)


class Reader(NamedTuple):
    """Somebody who may read this organization's trail."""

    principal: Principal
    organization_id: str
    api: SearchApi


def admit(
    request: Request,
    organization_id: Annotated[
        str, Path(description="The organization whose trail it is: the token's own.", examples=["org_1"])
    ],
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None,
) -> Reader:
    """Let a reader of this organization in.

    Raises Unauthenticated, then NotFound for another organization, then Forbidden for a role or a plan that may not.
    """
    api = search_api_of(request)
    principal = api.authentication.principal(request.headers.getlist("authorization"))
    require_reader(principal, organization_id, api.settings.entitlement)
    return Reader(principal, organization_id, api)


AdmittedReader = Annotated[Reader, Depends(admit)]
