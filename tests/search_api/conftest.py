"""The engines that the search API is tested over, and a trail in each."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.settings import Settings
from index_templates.loader import prepare
from lifecycle.days import DayOpener
from store.connect import connect
from store.opensearch import OpenSearchStore
from store.protocol import Store
from store.sqlite import SqliteStore
from tests.nodes import Node
from tests.search_api.provider import Provider, serve
from tests.search_api.trail import Trail
from tests.store.trail import forget_records


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path / "trail.sqlite")
    yield store
    store.close()


@pytest.fixture(scope="session")
def on_opensearch(opensearch_node: Node) -> Iterator[tuple[OpenSearchStore, str]]:
    """A store on a real node, and a retention class whose day indices nobody else has; they are removed at the end."""
    client = connect(Settings.model_validate(opensearch_node.store_settings()))
    opener = DayOpener(client)
    store = OpenSearchStore(client, open_day=opener.open, forget_day=opener.forget)
    store.prepare()
    retention = f"{random.randint(10_000, 36_500)}d"
    yield store, retention
    client.indices.delete(
        index=f"audit-{retention}-*", params={"ignore_unavailable": "true", "expand_wildcards": "all"}
    )
    forget_records(client)
    store.close()


@pytest.fixture
def opensearch(on_opensearch: tuple[OpenSearchStore, str]) -> Store:
    store, _ = on_opensearch
    prepare(store.client)  # another one's tests may have taken the templates away
    return store


@pytest.fixture(params=["sqlite", "opensearch"])
def engine(request: pytest.FixtureRequest) -> Store:
    """Each engine in turn; tests keep apart by their organization."""
    store: Store = request.getfixturevalue(request.param)
    return store


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop that applications run on."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def trail(engine: Store, runner: asyncio.Runner, request: pytest.FixtureRequest) -> Trail:
    """An organization of its own in each engine."""
    if isinstance(engine, OpenSearchStore):
        return Trail(engine, runner, retention_class=request.getfixturevalue("on_opensearch")[1])
    return Trail(engine, runner)


@pytest.fixture
def embedded(sqlite: Store, runner: asyncio.Runner) -> Trail:
    """The same where the engine doesn't matter to what is tested."""
    return Trail(sqlite, runner)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """An identity provider that publishes its key k1."""
    with serve() as provider:
        provider.publish(("RS256", "k1"))
        yield provider
