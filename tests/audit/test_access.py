"""Who may read: owners and admins of the very organization, with the entitlement where one is asked for."""

import pytest

from audit.access import Principal, require_reader
from audit.errors import Forbidden, NotFound
from audit.event import ActorType


def principal(role: str = "owner", organization_id: str = "org_1", *entitlements: str) -> Principal:
    return Principal(organization_id, ActorType.USER, "u_1", role, entitlements=frozenset(entitlements))


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_owners_and_admins_read(role: str) -> None:
    require_reader(principal(role), "org_1", None)


@pytest.mark.parametrize("role", ["developer", "member", "viewer", "", "Owner", "OWNER", "owner ", "admin,owner"])
def test_nobody_else_does(role: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        require_reader(principal(role), "org_1", None)
    assert refusal.value.fix


@pytest.mark.parametrize("organization_id", ["org_2", "", "ORG_1", "org_1 "])
@pytest.mark.parametrize("role", ["owner", "developer"])
def test_another_organization_does_not_exist(role: str, organization_id: str) -> None:
    with pytest.raises(NotFound):
        require_reader(principal(role), organization_id, None)


def test_where_an_entitlement_is_asked_for_the_plan_needs_it() -> None:
    with pytest.raises(Forbidden, match="plan"):
        require_reader(principal("owner", "org_1", "sso"), "org_1", "audit_log")


def test_with_the_entitlement_the_role_still_counts() -> None:
    with pytest.raises(Forbidden, match="owners and admins"):
        require_reader(principal("developer", "org_1", "audit_log"), "org_1", "audit_log")


def test_a_plan_with_the_entitlement_reads() -> None:
    require_reader(principal("owner", "org_1", "audit_log"), "org_1", "audit_log")
