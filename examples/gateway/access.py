"""Who is calling, and what they may do. Whoever may not is refused, and the refusal is on the trail.

The sample's sign-in is a header that anyone can set: `X-Demo-User: ada` for a person, `Authorization: Bearer gw_…` for a
program with a gateway API key. A real application has its own session here; all that matters is that `Caller.audit` knows
the organization and the actor.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

import trailkeeper
from examples.gateway.state import Organization, found
from trailkeeper import Action, AuditLogger

RANKS = {"developer": 1, "admin": 2, "owner": 3}

# The least role for each action.
PERMISSIONS = {
    Action.ORGANIZATION_UPDATE: "admin",
    Action.ORGANIZATION_DELETE: "owner",
    Action.PROJECT_CREATE: "developer",
    Action.PROJECT_UPDATE: "developer",
    Action.PROJECT_DELETE: "admin",
    Action.TEAM_MEMBER_ADD: "admin",
    Action.TEAM_MEMBER_UPDATE: "admin",
    Action.TEAM_MEMBER_REMOVE: "admin",
    Action.API_KEY_CREATE: "developer",
    Action.API_KEY_UPDATE_STATUS: "admin",
    Action.API_KEY_UPDATE_LIMIT: "developer",
    Action.API_KEY_DELETE: "developer",
    Action.API_KEY_IAM_RULE_CREATE: "developer",
    Action.API_KEY_IAM_RULE_UPDATE: "developer",
    Action.API_KEY_IAM_RULE_DELETE: "developer",
    Action.PROVIDER_KEY_CREATE: "admin",
    Action.PROVIDER_KEY_UPDATE: "admin",
    Action.PROVIDER_KEY_DELETE: "admin",
    Action.SUBSCRIPTION_CREATE: "owner",
    Action.SUBSCRIPTION_CANCEL: "owner",
    Action.SUBSCRIPTION_RESUME: "owner",
    Action.PAYMENT_CREDIT_TOPUP: "admin",
}


@dataclass(frozen=True)
class Caller:
    """A signed-in person or program, in one organization, with an audit logger that knows both."""

    organization: Organization
    role: str
    audit: AuditLogger

    def allowed(self, action: Action, resource_id: str | None = None, resource_name: str | None = None) -> AuditLogger:
        """Return the audit logger for this resource; a caller whose role is too low gets a 403 and is on the trail."""
        audit = self.audit.bind(resource_id=resource_id, resource_name=resource_name)
        needed = PERMISSIONS[action]
        if RANKS[self.role] < RANKS[needed]:
            raise denied(audit, action, self.role, needed)
        if self.organization.status == "deleted" and action is not Action.ORGANIZATION_UPDATE:
            raise failed(audit, action, 410, "The organization is deleted.")
        return audit


def denied(audit: AuditLogger, action: Action, role: str, needed: str) -> HTTPException:
    """Put a denied attempt on the trail; return the error to raise."""
    audit.denied(action, details={"role": role, "needed_role": needed})
    return HTTPException(403, f"The role {needed} is needed for this.")


def failed(audit: AuditLogger, action: Action, status: int, reason: str) -> HTTPException:
    """Put a failed attempt on the trail; return the error to raise."""
    audit.failure(action, details={"reason": reason})
    return HTTPException(status, reason)


async def sign_in(
    organization_id: str,
    request: Request,
    x_demo_user: Annotated[str | None, Header(description="Who you are, in this sample: `ada`, `bruno`, …")] = None,
    authorization: Annotated[str | None, Header(description="`Bearer gw_…`, for programs.")] = None,
) -> Caller:
    """Find out who is calling: a member by the demo header, or a program by its API key."""
    organization = found(request.app.state.organizations, organization_id)
    if member := organization.members.get(f"usr_{x_demo_user}"):
        actor = {"type": "user", "id": member.id, "name": member.name, "email": member.email}
        role = member.role
    elif key := next((key for key in organization.api_keys.values() if authorization == f"Bearer {key.token}"), None):
        actor, role = {"type": "api_key", "id": key.id, "name": key.name}, key.role
    else:
        raise HTTPException(401, "Send X-Demo-User with a member's name, or a gateway API key as a bearer token.")
    audit = trailkeeper.get_logger().bind(organization_id=organization.id, actor=actor)
    return Caller(organization, role, audit)


SignedIn = Annotated[Caller, Depends(sign_in)]
