"""Who asks: principals, roles, and the one rule of who may read a trail.

Only an organization's owners and admins read it. The organization comes from the token; one in a path or a parameter can
only be compared with it.
"""

from dataclasses import dataclass
from enum import StrEnum

from audit.errors import Forbidden, NotFound
from audit.event import ActorType

READERS = frozenset({"owner", "admin"})


class KeyScope(StrEnum):
    """What an API key may do: write events, or read a trail."""

    INGEST = "ingest"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody with a token that held. `role` is what the token says; a name nobody here knows may nothing."""

    organization_id: str
    type: ActorType
    id: str
    role: str
    name: str | None = None
    email: str | None = None
    entitlements: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Writer:
    """An ingest key that held. `organization_id` is None where it may write for every organization."""

    key_id: str
    organization_id: str | None


def require_reader(principal: Principal, organization_id: str, entitlement: str | None) -> None:
    """Let only an owner or admin of this very organization pass.

    Raises NotFound for another organization, so that nobody learns which ones exist; Forbidden for a role that may not
    read, and for a plan without the entitlement where the deployment asks for one.
    """
    if principal.organization_id != organization_id:
        raise NotFound(
            "There is no such organization for this token.",
            fix="Use the organization id that your token was made for.",
        )
    if principal.role not in READERS:
        raise Forbidden(
            "Only owners and admins may read the audit trail.",
            fix="Ask an owner or an admin of your organization.",
        )
    if entitlement is not None and entitlement not in principal.entitlements:
        raise Forbidden(
            "The audit trail is not part of this organization's plan.",
            fix=f"The plan needs the entitlement {entitlement!r}.",
        )
