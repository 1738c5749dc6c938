"""IAM rules: which models and providers an API key may reach."""

from copy import copy
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

import trailkeeper
from examples.gateway.access import SignedIn
from examples.gateway.state import IamRule, changed, found, new_id
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}/api-keys/{key_id}/iam-rules", tags=["IAM rules"])
RuleType = Literal["allow_models", "deny_models", "allow_providers", "deny_providers"]


class NewRule(BaseModel):
    """A rule to be added."""

    type: RuleType
    values: list[str] = Field(min_length=1)


class RuleChange(BaseModel):
    """What can be changed."""

    values: list[str] | None = None
    status: Literal["active", "inactive"] | None = None


@router.post("", status_code=201)
async def create(key_id: str, new: NewRule, caller: SignedIn) -> IamRule:
    """Add a rule to a key. The resource is the rule; which key it is on stands in the details."""
    key = found(caller.organization.api_keys, key_id)
    audit = caller.allowed(Action.API_KEY_IAM_RULE_CREATE, resource_name=f"{new.type} on {key.name}")
    rule = IamRule(new_id("rule"), new.type, new.values)
    key.rules[rule.id] = rule
    audit.info(
        Action.API_KEY_IAM_RULE_CREATE,
        resource_id=rule.id,
        details={"api_key_id": key.id, "changes": trailkeeper.diff(None, rule)},
    )
    return rule


@router.patch("/{rule_id}")
async def update(key_id: str, rule_id: str, change: RuleChange, caller: SignedIn) -> IamRule:
    """Change a rule."""
    key = found(caller.organization.api_keys, key_id)
    rule = found(key.rules, rule_id)
    audit = caller.allowed(Action.API_KEY_IAM_RULE_UPDATE, rule.id, f"{rule.type} on {key.name}")
    old = copy(rule)
    changed(rule, change.model_dump(exclude_unset=True))
    audit.info(Action.API_KEY_IAM_RULE_UPDATE, details={"api_key_id": key.id, "changes": trailkeeper.diff(old, rule)})
    return rule


@router.delete("/{rule_id}", status_code=204)
async def delete(key_id: str, rule_id: str, caller: SignedIn) -> None:
    """Remove a rule."""
    key = found(caller.organization.api_keys, key_id)
    rule = found(key.rules, rule_id)
    audit = caller.allowed(Action.API_KEY_IAM_RULE_DELETE, rule.id, f"{rule.type} on {key.name}")
    del key.rules[rule.id]
    audit.info(Action.API_KEY_IAM_RULE_DELETE, details={"api_key_id": key.id, "changes": trailkeeper.diff(rule, None)})
