"""The ways in under test: the embedded application, and a spool before a store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.spool import Spool
from store.sqlite import SqliteStore
from tests.ingest.sending import Way, embedded, spooled


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop that applications run on."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def way(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Way]:
    """The embedded application."""
    with embedded(tmp_path, runner) as way:
        yield way


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store behind a spool."""
    store = SqliteStore(tmp_path / "behind.sqlite")
    yield store
    store.close()


@pytest.fixture
def behind_spool(tmp_path: Path, sqlite: SqliteStore, runner: asyncio.Runner) -> Iterator[Way]:
    """A spool, a relay, and a store behind them."""
    with spooled(Spool(tmp_path / "spool.sqlite"), sqlite, runner) as way:
        yield way
