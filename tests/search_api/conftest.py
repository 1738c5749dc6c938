"""The engines that the search API is tested over, and a trail in each."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.protocol import Store
from store.sqlite import SqliteStore
from tests.search_api.provider import Provider, serve
from tests.search_api.trail import Trail


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(tmp_path / "trail.sqlite")
    yield store
    store.close()


@pytest.fixture(params=["sqlite"])
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
def trail(engine: Store, runner: asyncio.Runner) -> Trail:
    """An organization of its own in each engine."""
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
