"""The organization itself: its settings, and its end (which can be taken back)."""

from copy import copy

from fastapi import APIRouter
from pydantic import BaseModel

import trailkeeper
from examples.gateway.access import SignedIn
from examples.gateway.state import changed
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}", tags=["organization"])


class Settings(BaseModel):
    """What can be changed. `status: active` takes a deletion back."""

    name: str | None = None
    billing_email: str | None = None
    auto_top_up: bool | None = None
    status: str | None = None


class View(BaseModel):
    """What an organization looks like from outside."""

    id: str
    name: str
    billing_email: str
    auto_top_up: bool
    status: str
    credits: int


@router.get("")
async def read(caller: SignedIn) -> View:
    """Show the organization."""
    return View.model_validate(caller.organization, from_attributes=True)


@router.patch("")
async def update(settings: Settings, caller: SignedIn) -> View:
    """Change settings."""
    organization = caller.organization
    audit = caller.allowed(Action.ORGANIZATION_UPDATE, organization.id, organization.name)
    old = copy(organization)
    changed(organization, settings.model_dump(exclude_unset=True))
    audit.info(Action.ORGANIZATION_UPDATE, details={"changes": trailkeeper.diff(old, organization)})
    return View.model_validate(organization, from_attributes=True)


@router.delete("", status_code=204)
async def delete(caller: SignedIn) -> None:
    """Delete the organization. Only an owner may; the data stays for a while, so that it can be restored."""
    organization = caller.organization
    audit = caller.allowed(Action.ORGANIZATION_DELETE, organization.id, organization.name)
    old = copy(organization)
    organization.status = "deleted"
    audit.info(Action.ORGANIZATION_DELETE, details={"changes": trailkeeper.diff(old, organization)})
