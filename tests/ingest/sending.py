"""What the tests of ingest send: events that hold, and a running way in to send them to."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from audit.access import KeyScope
from audit.catalog import load_catalog
from audit.ids import new_id
from audit.instants import format_instant, to_ms, utc_now
from audit.query import Query
from audit.settings import Settings
from cli.compose import Trail
from ingest.app import add_routes
from ingest.pipeline import Pipeline
from ingest.spool import Spool
from store.keys import Keys
from store.protocol import Candidate, Store
from store.retentions import Retentions
from tests.search_api.in_process import InProcess

ORGANIZATION = "org_1"
NDJSON = "application/x-ndjson"


def event(**changes: Any) -> dict[str, Any]:
    """An event that holds; a change to None takes a field out."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "occurred_at": format_instant(utc_now()),
        "organization_id": ORGANIZATION,
        "actor": {"type": "user", "id": "u_1", "name": "Ada", "email": "ada@example.com"},
        "action": "api_key.create",
        "resource": {"type": "api_key", "id": "key_1"},
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def line(**changes: Any) -> bytes:
    """The same as one line of NDJSON."""
    return json.dumps(event(**changes), ensure_ascii=False).encode()


def candidate(
    number: int = 0, *, id: str | None = None, size: int = 0, organization_id: str = ORGANIZATION
) -> Candidate:
    """An event behind the validation, for the logs."""
    fields = event(id=id or new_id(), organization_id=organization_id, details={"number": number, "text": "x" * size})
    normal = json.dumps(fields, separators=(",", ":")).encode()
    return Candidate(fields["id"], organization_id, to_ms(utc_now()), "90d", normal, fields["occurred_at"], known=True)


@dataclass
class Way:
    """A way in over a store, and a key to it."""

    store: Store
    keys: Keys
    app: FastAPI
    runner: asyncio.Runner
    pipeline: Pipeline
    key: str = ""

    def client(self, key: str | None = None) -> httpx.Client:
        """A client with the organization's key, or another."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return httpx.Client(transport=InProcess(self.app, self.runner), base_url="http://ingest.test", headers=headers)

    def post(
        self, content: bytes, content_type: str = "application/json", key: str | None = None, **headers: str
    ) -> httpx.Response:
        """Send one body."""
        with self.client(key) as client:
            return client.post(
                "/v1/events",
                content=content,
                headers={
                    "Content-Type": content_type,
                    **{name.replace("_", "-"): value for name, value in headers.items()},
                },
            )

    def batch(self, *lines: bytes, ack: str = "") -> dict[str, Any]:
        """Send NDJSON that is taken; return the answer."""
        with self.client() as client:
            response = client.post(
                f"/v1/events{ack and f'?ack={ack}'}", content=b"\n".join(lines), headers={"Content-Type": NDJSON}
            )
        assert response.status_code == 202, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def stored(self, organization_id: str = ORGANIZATION) -> list[dict[str, Any]]:
        """The organization's events, oldest first, without those that Trailkeeper itself recorded."""
        page = self.store.search(Query(organization_id=organization_id, order="asc"), limit=100_000)
        events = [json.loads(body) for body in page.items]
        return [each for each in events if each.get("source") != "trailkeeper"]

    def reported(self, organization_id: str = ORGANIZATION) -> list[dict[str, Any]]:
        """What Trailkeeper itself put on the organization's trail."""
        page = self.store.search(Query(organization_id=organization_id, order="asc"), limit=100_000)
        events = [json.loads(body) for body in page.items]
        return [each for each in events if each.get("source") == "trailkeeper"]

    def make_key(self, organization_id: str | None = ORGANIZATION, expires_at: datetime | None = None) -> str:
        """Make an ingest key."""
        return self.keys.create(KeyScope.INGEST, organization_id, "tests", expires_at)[1]


@contextmanager
def embedded(folder: Path, runner: asyncio.Runner, **settings: Any) -> Iterator[Way]:
    """The real application over one SQLite file, as `trailkeeper serve` composes it."""
    with Trail.open(Settings(store_url=f"sqlite:///{folder / 'trail.sqlite'}", **settings), ingest=True) as trail:
        way = Way(trail.store, trail.keys, trail.application(ingest=True), runner, trail.ingest)
        way.key = way.make_key()
        yield way


@contextmanager
def spooled(
    spool: Spool, store: Store, runner: asyncio.Runner, clock: Any = utc_now, start: bool = True, **settings: Any
) -> Iterator[Way]:
    """A way in that commits to a spool, and relays to a store."""
    wanted = Settings(**settings)
    retentions = Retentions(store.records, wanted.retention)
    pipeline = Pipeline(
        settings=wanted, catalog=load_catalog(), retentions=retentions, store=store, log=spool, clock=clock
    )
    keys = Keys(store.records)
    app = FastAPI()
    add_routes(app, pipeline, keys, wanted)
    way = Way(store, keys, app, runner, pipeline)
    way.key = way.make_key()
    pipeline.start()
    try:
        yield way
    finally:
        pipeline.stop(drain_seconds=0.1)


def days_ago(days: float) -> str:
    """An instant that long ago."""
    return format_instant(utc_now() - timedelta(days=days))


def statuses(answer: dict[str, Any]) -> Sequence[str]:
    """What became of each event."""
    return [result["status"] for result in answer["results"]]
