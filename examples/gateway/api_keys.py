"""API keys: what programs call the gateway with. The key itself is shown once, and masked on the trail."""

from copy import copy
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

import trailkeeper
from examples.gateway.access import SignedIn, failed
from examples.gateway.state import ApiKey, found, new_id
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}/api-keys", tags=["API keys"])
LARGEST_LIMIT = 10_000


class NewKey(BaseModel):
    """A key to be made. `limit` is in US dollars."""

    name: str = Field(min_length=1, max_length=100)
    project_id: str
    limit: int | None = Field(None, ge=0)


class StatusChange(BaseModel):
    """Switch a key on or off."""

    status: Literal["active", "inactive"]


class LimitChange(BaseModel):
    """What a key may spend, in US dollars; None is no limit."""

    limit: int | None = Field(ge=0)


@router.post("", status_code=201)
async def create(new: NewKey, caller: SignedIn) -> ApiKey:
    """Create a key. The answer is the only place that ever shows its token."""
    project = found(caller.organization.projects, new.project_id)
    audit = caller.allowed(Action.API_KEY_CREATE, resource_name=new.name)
    key = ApiKey(new_id("key"), new.name, project.id, limit=new.limit)
    caller.organization.api_keys[key.id] = key
    audit.info(Action.API_KEY_CREATE, resource_id=key.id, details={"changes": trailkeeper.diff(None, key)})
    return key


@router.patch("/{key_id}/status", response_model_exclude={"token"})
async def update_status(key_id: str, change: StatusChange, caller: SignedIn) -> ApiKey:
    """Enable or disable a key."""
    key = found(caller.organization.api_keys, key_id)
    audit = caller.allowed(Action.API_KEY_UPDATE_STATUS, key.id, key.name)
    old = copy(key)
    key.status = change.status
    audit.info(Action.API_KEY_UPDATE_STATUS, details={"changes": trailkeeper.diff(old, key)})
    return key


@router.patch("/{key_id}/limit", response_model_exclude={"token"})
async def update_limit(key_id: str, change: LimitChange, caller: SignedIn) -> ApiKey:
    """Change what a key may spend."""
    key = found(caller.organization.api_keys, key_id)
    audit = caller.allowed(Action.API_KEY_UPDATE_LIMIT, key.id, key.name)
    if change.limit is not None and change.limit > LARGEST_LIMIT:
        raise failed(audit, Action.API_KEY_UPDATE_LIMIT, 409, f"The plan allows {LARGEST_LIMIT} at most.")
    old = copy(key)
    key.limit = change.limit
    audit.info(Action.API_KEY_UPDATE_LIMIT, details={"changes": trailkeeper.diff(old, key)})
    return key


@router.delete("/{key_id}", status_code=204)
async def delete(key_id: str, caller: SignedIn) -> None:
    """Delete a key, with its rules."""
    key = found(caller.organization.api_keys, key_id)
    audit = caller.allowed(Action.API_KEY_DELETE, key.id, key.name)
    del caller.organization.api_keys[key.id]
    audit.info(Action.API_KEY_DELETE, details={"changes": trailkeeper.diff(key, None)})
