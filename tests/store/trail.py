"""Events for the store's tests, and the plain list that says what the right answer is."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from opensearchpy import OpenSearch

from audit.ids import derived_id
from audit.instants import format_instant, from_ms, to_ms
from audit.query import Query
from audit.wire import stamp
from store.protocol import ActorCount, Candidate, Document, Facets, Page, Position, Store

DAY = 86_400_000
NOON = to_ms(datetime.fromisoformat("2026-11-20T12:00:00+00:00"))
RECEIVED = "2026-11-23T10:00:00.123Z"

ACTORS: Sequence[dict[str, str]] = (
    {"type": "user", "id": "u_1", "name": "Ada", "email": "ada@example.com"},
    {"type": "user", "id": "u_1", "name": "Ada Lovelace", "email": "ada@example.com"},  # renamed
    {"type": "user", "id": "u_2", "name": "u_1"},  # somebody else is called what Ada's id is
    {"type": "api_key", "id": "u_1", "name": "ci"},  # and a key has it too
    {"type": "service", "id": "billing", "email": "ada@example.com"},
    {"type": "system"},
    {"type": "anonymous"},
    {"type": "user", "id": "ü_3", "name": "Zoë 🦊"},
)
ACTIONS = ("api_key.create", "api_key.delete", "project.update", "payment.credit_topup")
RESOURCE_TYPES = ("api_key", "project", "payment")
RESOURCE_IDS = ("r_1", "r_2", "größe/3", None)
OUTCOMES = ("success", "failure", "denied")
# Few instants on three days, so that many events share one, and days have edges.
INSTANTS = tuple(NOON + day * DAY + offset for day in range(3) for offset in (0, 1, 2, 500, DAY // 2 - 1, -DAY // 2))

_serial = itertools.count()
_process = uuid4().hex


@dataclass(frozen=True)
class Sent:
    """One event as it was written, and what a search is to give back."""

    document: Document
    event: dict[str, Any]

    @property
    def id(self) -> str:
        return self.document.id

    @property
    def place(self) -> tuple[int, str]:
        return (self.document.occurred_at, self.document.id)


_organizations: list[str] = []


def an_organization() -> str:
    """Tests share a store; each has an organization of its own."""
    _organizations.append(f"org_{uuid4().hex}")
    return _organizations[-1]


def forget_records(client: OpenSearch) -> None:
    """Take this run's records off a node that others may use too: those of a kind, or an id, of its organizations."""
    ours = {"bool": {"should": [{"terms": {"kind": _organizations}}, {"terms": {"id": _organizations}}]}}
    client.indices.refresh(index="trailkeeper-records")
    found = client.search(index="trailkeeper-records", body={"query": ours, "size": 10_000, "_source": False})
    for hit in found["hits"]["hits"]:
        client.delete(index="trailkeeper-records", id=hit["_id"], ignore=404)


def an_event(organization_id: str, occurred_at: int = NOON, **fields: Any) -> dict[str, Any]:
    """Make an event in its normal form's order; `fields` replace what they name, None leaves out."""
    event = {
        "id": derived_id(occurred_at, organization_id, _process, str(next(_serial))),
        "occurred_at": format_instant(from_ms(occurred_at)),
        "organization_id": organization_id,
        "actor": ACTORS[0],
        "action": "api_key.create",
        "resource": {"type": "api_key", "id": "r_1"},
        "outcome": "success",
        "details": {"changes": {"limit": {"old": 1, "new": 100}}},
        "source": "tests",
    } | fields
    return {name: value for name, value in event.items() if value is not None}


def sent(event: dict[str, Any], retention: str, number: int = 0) -> Sent:
    """Stamp an event as ingest does."""
    body = stamp(orjson.dumps(event), RECEIVED, "log-1", number, True)
    occurred_at = to_ms(datetime.fromisoformat(event["occurred_at"]))
    return Sent(Document(event["id"], event["organization_id"], occurred_at, retention, body), event)


def candidate(event: dict[str, Any], retention: str = "90d") -> Candidate:
    """The same for a log."""
    occurred_at = to_ms(datetime.fromisoformat(event["occurred_at"]))
    return Candidate(event["id"], event["organization_id"], occurred_at, retention, orjson.dumps(event), RECEIVED, True)


def random_event(organization_id: str, chance: random.Random) -> dict[str, Any]:
    """An event of the few values above."""
    resource = {"type": chance.choice(RESOURCE_TYPES), "id": chance.choice(RESOURCE_IDS)}
    return an_event(
        organization_id,
        chance.choice(INSTANTS),
        actor=chance.choice(ACTORS),
        action=chance.choice(ACTIONS),
        resource={name: value for name, value in resource.items() if value is not None},
        outcome=chance.choices(OUTCOMES, (6, 1, 1))[0],
    )


def matching(events: Iterable[Sent], query: Query) -> list[Sent]:
    """The oracle: what a query must give, in its order."""
    found = [
        each
        for each in events
        for event, actor, resource in [(each.event, each.event["actor"], each.event["resource"])]
        if event["organization_id"] == query.organization_id
        and (not query.actions or event["action"] in query.actions)
        and (not query.resource_types or resource.get("type") in query.resource_types)
        and (not query.resource_ids or resource.get("id") in query.resource_ids)
        and (not query.actors or {actor.get("id"), actor.get("email"), actor.get("name")} & set(query.actors))
        and (not query.outcomes or event["outcome"] in query.outcomes)
        and (query.since is None or each.document.occurred_at >= to_ms(query.since))
        and (query.until is None or each.document.occurred_at < to_ms(query.until))
        and (query.visible_from is None or each.document.occurred_at >= to_ms(query.visible_from))
    ]
    return sorted(found, key=lambda each: each.place, reverse=query.order == "desc")


def facets_of(found: Sequence[Sent], size: int) -> Facets:
    """The oracle for facets."""
    actors: Counter[tuple[str, str]] = Counter()
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for each in sorted(found, key=lambda each: each.place):
        actor = each.event["actor"]
        key = (actor["type"], actor.get("id", ""))
        actors[key] += 1
        latest[key] = actor
    return Facets(
        _largest(Counter(each.event["action"] for each in found), size),
        _largest(Counter(each.event["resource"]["type"] for each in found), size),
        tuple(
            ActorCount(key[0], key[1] or None, latest[key].get("name"), latest[key].get("email"), count)
            for key, count in sorted(actors.items(), key=lambda item: (-item[1], item[0]))[:size]
        ),
    )


def walk(store: Store, query: Query, limit: int) -> list[bytes]:
    """Turn page after page to the end."""
    items: list[bytes] = []
    after: Position | None = None
    while True:
        page: Page = store.search(query, limit=limit, after=after)
        assert len(page.items) <= limit
        items += page.items
        if page.next is None:
            return items
        assert len(page.items) == limit
        after = page.next


def bodies(found: Iterable[Sent]) -> list[bytes]:
    """What is to come back: the bytes that were written."""
    return [each.document.body for each in found]


def _largest(counts: Counter[str], size: int) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size])
