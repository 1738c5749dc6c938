"""The team: who is in it, and in which role."""

from copy import copy
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

import trailkeeper
from examples.gateway.access import RANKS, SignedIn, denied, failed
from examples.gateway.state import Member, Organization, found
from trailkeeper import Action

router = APIRouter(prefix="/organizations/{organization_id}/members", tags=["team"])
Role = Literal["owner", "admin", "developer"]


class NewMember(BaseModel):
    """Somebody to be added."""

    id: str
    name: str
    email: str
    role: Role = "developer"


class RoleChange(BaseModel):
    """The role that a member gets."""

    role: Role


def is_last_owner(member: Member, organization: Organization) -> bool:
    """Tell whether the organization would be without an owner."""
    return member.role == "owner" and [m.role for m in organization.members.values()].count("owner") == 1


@router.post("", status_code=201)
async def add(new: NewMember, caller: SignedIn) -> Member:
    """Add a member. Nobody is added twice."""
    audit = caller.allowed(Action.TEAM_MEMBER_ADD, new.id, new.name)
    if new.id in caller.organization.members:
        raise failed(audit, Action.TEAM_MEMBER_ADD, 409, "Already a member.")
    member = caller.organization.members[new.id] = Member(new.id, new.name, new.email, new.role)
    audit.info(Action.TEAM_MEMBER_ADD, details={"changes": trailkeeper.diff(None, member)})
    return member


@router.patch("/{member_id}")
async def update(member_id: str, change: RoleChange, caller: SignedIn) -> Member:
    """Change a member's role. Nobody gives a role above their own, and the last owner stays one."""
    member = found(caller.organization.members, member_id)
    audit = caller.allowed(Action.TEAM_MEMBER_UPDATE, member.id, member.name)
    if RANKS[change.role] > RANKS[caller.role]:
        raise denied(audit, Action.TEAM_MEMBER_UPDATE, caller.role, change.role)
    if is_last_owner(member, caller.organization):
        raise failed(audit, Action.TEAM_MEMBER_UPDATE, 409, "The last owner stays an owner.")
    old = copy(member)
    member.role = change.role
    audit.info(Action.TEAM_MEMBER_UPDATE, details={"changes": trailkeeper.diff(old, member), "email": member.email})
    return member


@router.delete("/{member_id}", status_code=204)
async def remove(member_id: str, caller: SignedIn) -> None:
    """Remove a member. What they were goes on the trail, for nothing else remembers it."""
    member = found(caller.organization.members, member_id)
    audit = caller.allowed(Action.TEAM_MEMBER_REMOVE, member.id, member.name)
    if is_last_owner(member, caller.organization):
        raise failed(audit, Action.TEAM_MEMBER_REMOVE, 409, "The last owner stays.")
    del caller.organization.members[member.id]
    audit.info(Action.TEAM_MEMBER_REMOVE, details={"changes": trailkeeper.diff(member, None)})
