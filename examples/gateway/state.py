"""What the gateway knows: plain dataclasses in memory, gone with the process. A real one has a database here."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from fastapi import HTTPException

_numbers = count(1001)
Thing = TypeVar("Thing")


def new_id(prefix: str) -> str:
    """Make an id like `key_1001`: counted, so that the demo tells the same story every time."""
    return f"{prefix}_{next(_numbers)}"


def new_token() -> str:
    """Make the secret of a gateway API key."""
    return f"gw_{secrets.token_urlsafe(24)}"


@dataclass
class Member:
    """A person in the team. The id is the user's."""

    id: str
    name: str
    email: str
    role: str


@dataclass
class Project:
    """What API keys belong to."""

    id: str
    name: str
    mode: str = "credits"
    caching: bool = False
    cache_seconds: int = 60


@dataclass
class IamRule:
    """What a key may reach: `allow_models`, `deny_models`, `allow_providers` or `deny_providers`, and which."""

    id: str
    type: str
    values: list[str]
    status: str = "active"


@dataclass
class ApiKey:
    """A key that programs call the gateway with. `limit` is in US dollars; None is no limit."""

    id: str
    name: str
    project_id: str
    token: str = field(default_factory=new_token, repr=False)
    status: str = "active"
    limit: int | None = None
    role: str = "developer"
    rules: dict[str, IamRule] = field(default_factory=dict)


@dataclass
class ProviderKey:
    """The organization's own key at a model provider. `token` is the provider's secret."""

    id: str
    name: str
    provider: str
    token: str = field(repr=False)
    base_url: str | None = None


@dataclass
class Subscription:
    """The plan that is paid for each month."""

    id: str
    plan: str
    seats: int
    status: str = "active"


@dataclass
class Organization:
    """A tenant: its settings, its people and everything they made. Credits are in US dollars."""

    id: str
    name: str
    billing_email: str
    auto_top_up: bool = False
    status: str = "active"
    credits: int = 0
    subscription: Subscription | None = None
    members: dict[str, Member] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    provider_keys: dict[str, ProviderKey] = field(default_factory=dict)


def found(things: Mapping[str, Thing], key: str) -> Thing:
    """Look something up by its id, or answer 404."""
    if key not in things:
        raise HTTPException(404, f"There is no {key!r} here.")
    return things[key]


def changed(thing: Thing, fields: Mapping[str, Any]) -> Thing:
    """Set those fields of a thing."""
    for name, value in fields.items():
        setattr(thing, name, value)
    return thing


def seed(organization_id: str) -> Organization:
    """Make the organization that the gateway starts with: an owner, an admin, two developers and a CI key."""
    people = [
        Member("usr_ada", "Ada Okafor", "ada@northwind.example", "owner"),
        Member("usr_bruno", "Bruno Keller", "bruno@northwind.example", "admin"),
        Member("usr_chidi", "Chidi Nwosu", "chidi@northwind.example", "developer"),
        Member("usr_elif", "Elif Demir", "elif@northwind.example", "developer"),
    ]
    ci = ApiKey("key_ci", "ci-deploy", "prj_web", token="gw_demo_ci")  # noqa: S106 the demo's, and printed in its README
    return Organization(
        organization_id,
        "Northwind Robotics",
        "billing@northwind.example",
        credits=200,
        members={person.id: person for person in people},
        projects={"prj_web": Project("prj_web", "Web assistant")},
        api_keys={ci.id: ci},
    )
