"""Provider keys: the organization's own secrets at model providers. They never reach the trail; that they changed does."""

from copy import copy

from fastapi import APIRouter
from pydantic import BaseModel, Field

import trailkeeper
from examples.gateway.access import SignedIn, failed
from examples.gateway.state import ProviderKey, changed, found, new_id
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}/provider-keys", tags=["provider keys"])


class NewKey(BaseModel):
    """A provider's key to be kept."""

    name: str = Field(min_length=1, max_length=100)
    provider: str
    token: str


class KeyChange(BaseModel):
    """What can be changed; a new token is a rotation."""

    token: str | None = None
    base_url: str | None = None


def provider_takes(token: str) -> bool:
    """Tell whether the provider knows this token. The sample asks nobody: a token that starts with `sk-` is good."""
    return token.startswith("sk-")


@router.post("", status_code=201, response_model_exclude={"token"})
async def create(new: NewKey, caller: SignedIn) -> ProviderKey:
    """Keep a provider's key, once the provider has taken it."""
    audit = caller.allowed(Action.PROVIDER_KEY_CREATE, resource_name=new.name)
    if not provider_takes(new.token):
        raise failed(audit, Action.PROVIDER_KEY_CREATE, 409, f"{new.provider} does not know this key.")
    key = ProviderKey(new_id("pk"), new.name, new.provider, new.token)
    caller.organization.provider_keys[key.id] = key
    audit.info(Action.PROVIDER_KEY_CREATE, resource_id=key.id, details={"changes": trailkeeper.diff(None, key)})
    return key


@router.patch("/{key_id}", response_model_exclude={"token"})
async def update(key_id: str, change: KeyChange, caller: SignedIn) -> ProviderKey:
    """Change a provider key, or rotate its token."""
    key = found(caller.organization.provider_keys, key_id)
    audit = caller.allowed(Action.PROVIDER_KEY_UPDATE, key.id, key.name)
    if change.token is not None and not provider_takes(change.token):
        raise failed(audit, Action.PROVIDER_KEY_UPDATE, 409, f"{key.provider} does not know this key.")
    old = copy(key)
    changed(key, change.model_dump(exclude_unset=True))
    audit.info(Action.PROVIDER_KEY_UPDATE, details={"changes": trailkeeper.diff(old, key)})
    return key


@router.delete("/{key_id}", status_code=204)
async def delete(key_id: str, caller: SignedIn) -> None:
    """Forget a provider key."""
    key = found(caller.organization.provider_keys, key_id)
    audit = caller.allowed(Action.PROVIDER_KEY_DELETE, key.id, key.name)
    del caller.organization.provider_keys[key.id]
    audit.info(Action.PROVIDER_KEY_DELETE, details={"changes": trailkeeper.diff(key, None)})
