"""The stores under test: one of each engine for the session, shared by tests that each have their own organization."""

import random
from collections.abc import Callable, Iterator
from datetime import date

import pytest
from opensearchpy import OpenSearch

from audit.instants import to_ms
from audit.retention import end_of
from audit.settings import Settings
from index_templates import loader
from store.connect import connect
from store.names import day_index
from store.opensearch import OpenSearchStore
from store.protocol import Store
from store.sqlite import SqliteStore
from tests.nodes import Node
from tests.store.trail import INSTANTS, Sent, an_organization, forget_records, random_event, sent


class DayIndices:
    """Makes a day's index as lifecycle/ does, without its policies."""

    def __init__(self, client: OpenSearch) -> None:
        self.client = client
        self._open: set[str] = set()

    def open(self, retention: str, day: date) -> None:
        name = day_index(retention, day)
        if name not in self._open and not self.client.indices.exists(index=name):
            self.client.indices.create(index=name, body={"settings": {"index.creation_date": to_ms(end_of(day))}})
        self._open.add(name)

    def forget(self, retention: str, day: date) -> None:
        self._open.discard(day_index(retention, day))


class RetentionClasses:
    """Hands out retention classes that nobody else on the node has, and so indices that nobody else has."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    def another(self) -> str:
        retention = f"{random.randint(10_000, 36_500)}d"
        self.given.add(retention)
        return retention


@pytest.fixture(scope="session")
def classes() -> RetentionClasses:
    return RetentionClasses()


@pytest.fixture(scope="session")
def retention(classes: RetentionClasses) -> str:
    """The retention class of all events that don't test retention: three days, three indices."""
    return classes.another()


def opensearch_store(settings: Settings, classes: RetentionClasses) -> Iterator[OpenSearchStore]:
    """A store on a real node; its day indices are removed at the end."""
    client = connect(settings)
    days = DayIndices(client)
    store = OpenSearchStore(client, open_day=days.open, forget_day=days.forget)
    store.prepare()
    yield store
    for retention in classes.given:
        client.indices.delete(
            index=f"audit-{retention}-*", params={"ignore_unavailable": "true", "expand_wildcards": "all"}
        )
    forget_records(client)
    store.close()


@pytest.fixture(scope="session")
def on_opensearch(opensearch_node: Node, classes: RetentionClasses) -> Iterator[OpenSearchStore]:
    yield from opensearch_store(Settings.model_validate(opensearch_node.store_settings()), classes)


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path_factory.mktemp("store") / "trail.sqlite")
    yield store
    store.close()


@pytest.fixture(scope="module", params=["sqlite", "opensearch"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each engine in turn."""
    if request.param == "opensearch":
        opensearch: OpenSearchStore = request.getfixturevalue("on_opensearch")
        loader.prepare(opensearch.client)  # each module anew: another one's tests may have taken them away
        return opensearch
    sqlite: SqliteStore = request.getfixturevalue("on_sqlite")
    return sqlite


@pytest.fixture(scope="module")
def trail(store: Store, retention: str) -> list[Sent]:
    """Four hundred events of three organizations, all in the store."""
    chance = random.Random(7)
    organizations = [an_organization() for _ in range(3)]
    events = [sent(random_event(chance.choice(organizations), chance), retention, n) for n in range(400)]
    assert set(INSTANTS) == {event.document.occurred_at for event in events}
    store.write([event.document for event in events], searchable=True)
    return events


@pytest.fixture
def organization() -> str:
    return an_organization()


@pytest.fixture
def write(store: Store, retention: str) -> Callable[..., list[Sent]]:
    """Write events, given as dicts, and give them back as sent."""

    def _write(*events: dict[str, object], retention: str = retention) -> list[Sent]:
        all_sent = [sent(dict(event), retention, number) for number, event in enumerate(events)]
        results = store.write([each.document for each in all_sent], searchable=True)
        assert {result.outcome for result in results} <= {"created"}
        return all_sent

    return _write
