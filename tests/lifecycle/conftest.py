"""What the lifecycle's tests share: a store in a file, a real node's client, and classes that no other test uses."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from audit.ids import new_id
from audit.instants import format_instant, to_ms
from store.names import day_index
from store.protocol import Document, Store
from store.sqlite import SqliteStore
from tests.nodes import Node

Write = Callable[[Store, str, str, Sequence[date]], None]

_classes = count(20_000)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "trail.sqlite")
    yield store
    store.close()


@pytest.fixture
def client(opensearch_node: Node) -> Iterator[OpenSearch]:
    authority = str(opensearch_node.ca_file) if opensearch_node.ca_file else None
    user = (opensearch_node.user, opensearch_node.password or "") if opensearch_node.user is not None else None
    with OpenSearch(opensearch_node.url, http_auth=user, ca_certs=authority, timeout=60) as client:
        yield client


@pytest.fixture
def retention(client: OpenSearch) -> Iterator[str]:
    """A class of its own, so that tests on one node never meet; its indices go with it."""
    name = f"{next(_classes)}d"
    yield name
    for index in client.indices.get(index=f"audit-{name}-*", params={"expand_wildcards": "all"}):
        client.indices.delete(index=index)


def document(organization_id: str, retention: str, day: date, clock: time = time(12)) -> Document:
    """One event of a day, as an engine takes it."""
    occurred_at = datetime.combine(day, clock, UTC)
    id = new_id()
    body = (
        f'{{"id":"{id}","occurred_at":"{format_instant(occurred_at)}","organization_id":"{organization_id}",'
        '"actor":{"type":"system"},"action":"project.create","resource":{"type":"project"},"outcome":"success",'
        f'"received_at":"{format_instant(occurred_at)}","log":{{"id":"tests","index":0}}}}'
    )
    return Document(id, organization_id, to_ms(occurred_at), retention, body.encode())


def names(retention: str, *days: date) -> list[str]:
    return [day_index(retention, day) for day in days]


def midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)
