"""A trail to search: events in a real store, tokens of all kinds, and an application over them."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
from fastapi import FastAPI

from audit.catalog import Catalog, load_catalog
from audit.event import Event
from audit.ids import derived_id
from audit.instants import format_instant, to_ms
from audit.settings import Settings
from search_api.app import create_app
from store.keys import Keys
from store.protocol import Document, Outcome, Store
from store.retentions import Retentions
from tests.search_api.in_process import ADDRESS, InProcess
from tests.store.trail import an_organization

SECRET = "a secret for tests that has more than thirty-two bytes"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Seconds:
    """A monotonic clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def claims(organization_id: str, role: str = "owner", /, **changed: Any) -> dict[str, Any]:
    """Claims that hold; `None` takes one out."""
    now = datetime.now(UTC)
    content = {
        "sub": f"u_{role}",
        "iss": "trailkeeper",
        "aud": "trailkeeper",
        "iat": now,
        "exp": now + timedelta(hours=1),
        "organization_id": organization_id,
        "role": role,
        "name": role.title(),
        "email": f"{role}@example.com",
        **changed,
    }
    return {name: value for name, value in content.items() if value is not None}


def token(organization_id: str, role: str = "owner", /, *, secret: str = SECRET, **changed: Any) -> str:
    """An HS256 token."""
    return jwt.encode(claims(organization_id, role, **changed), secret, "HS256")


def unsigned(content: dict[str, Any], header: dict[str, Any]) -> str:
    """A token with any header and no signature."""

    def part(value: object) -> str:
        text = json.dumps(value, default=lambda moment: int(moment.timestamp()))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(content)}."


@dataclass(repr=False)
class Trail:
    """One organization's trail in a store, and the search API over that store."""

    store: Store
    runner: asyncio.Runner
    catalog: Catalog = field(default_factory=load_catalog)
    organization_id: str = field(default_factory=an_organization)
    clock: Clock = field(default_factory=Clock)
    recorded: list[Event] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    record: Callable[[Event], None] | None = None
    retention_class: str = "90d"

    def __post_init__(self) -> None:
        self.keys = Keys(self.store.records)
        self.retentions = Retentions(self.store.records, "90d")
        self._made = 0

    @property
    def path(self) -> str:
        """The path of the trail."""
        return f"/v1/organizations/{self.organization_id}/audit-logs"

    def app(self) -> FastAPI:
        """An application over the store."""
        # Settings leaves out what is None, so that JWKS settings don't meet the default secret.
        settings = Settings(**{"jwt_secret": SECRET, **self.settings})
        return create_app(
            store=self.store,
            retentions=self.retentions,
            keys=self.keys,
            catalog=self.catalog,
            settings=settings,
            record=self.record or self.recorded.append,
            clock=self.clock,
        )

    def client(self, bearer: str | None = "", *, app: FastAPI | None = None, address: str = ADDRESS) -> httpx.Client:
        """A client with the owner's token, another one, or none (None)."""
        if bearer == "":
            bearer = token(self.organization_id)
        headers = {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
        transport = InProcess(app or self.app(), self.runner, address)
        return httpx.Client(transport=transport, base_url="http://trail.test", headers=headers)

    def add(self, *changes: dict[str, Any], organization_id: str | None = None) -> list[dict[str, Any]]:
        """Store an event for each of the changes; return them as stored."""
        events = [self._event(change, organization_id or self.organization_id) for change in changes]
        documents = [
            Document(
                event["id"],
                event["organization_id"],
                to_ms(datetime.fromisoformat(event["occurred_at"])),
                self.retention_class,
                json.dumps(event, separators=(",", ":")).encode(),
            )
            for event in events
        ]
        written = self.store.write(documents, searchable=True)
        assert {result.outcome for result in written} <= {Outcome.CREATED}, written
        return events

    def _event(self, change: dict[str, Any], organization_id: str) -> dict[str, Any]:
        number = self._made = self._made + 1
        occurred_at = change.get("occurred_at") or format_instant(NOW - timedelta(minutes=number))
        return {
            "id": derived_id(to_ms(datetime.fromisoformat(occurred_at)), organization_id, str(number)),
            "occurred_at": occurred_at,
            "organization_id": organization_id,
            "actor": {"type": "user", "id": "u_1", "name": "Ada", "email": "ada@example.com"},
            "action": "api_key.create",
            "resource": {"type": "api_key", "id": f"key_{number}"},
            "outcome": "success",
            **{name: value for name, value in change.items() if name != "occurred_at"},
            "received_at": occurred_at,
            "log": {"id": "log-1", "index": number},
        }


def ids(events: Iterable[dict[str, Any]]) -> list[str]:
    """The ids of events, in order."""
    return [event["id"] for event in events]


def newest_first(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events as a trail shows them."""
    return sorted(events, key=lambda event: (event["occurred_at"], event["id"]), reverse=True)


def walk(client: httpx.Client, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Follow next_cursor to the end; give each page."""
    cursor: dict[str, str] = {}
    while True:
        page = client.get(path, params={**params, **cursor}).raise_for_status().json()
        yield page
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
