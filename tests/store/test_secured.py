"""The same store over TLS with a user and a password, through the one client factory."""

from collections.abc import Iterator
from datetime import date

import pytest

from audit.errors import StoreUnavailable
from audit.query import Query
from audit.settings import Settings
from index_templates import loader
from store.connect import connect, open_store
from store.opensearch import OpenSearchStore
from store.protocol import Outcome
from tests.nodes import Node
from tests.store.conftest import RetentionClasses, opensearch_store
from tests.store.trail import DAY, NOON, Sent, an_event, an_organization, bodies, facets_of, matching, sent, walk


def settings_of(node: Node, **changes: object) -> Settings:
    return Settings.model_validate(node.store_settings() | changes)


@pytest.fixture(scope="module")
def secured(secured_node: Node) -> Iterator[OpenSearchStore]:
    for store in opensearch_store(settings_of(secured_node), RetentionClasses()):
        loader.prepare(store.client)
        yield store


@pytest.fixture(scope="module")
def trail(secured: OpenSearchStore) -> list[Sent]:
    organization = an_organization()
    events = [sent(an_event(organization, NOON + (n % 2) * DAY + n // 3), "90d", n) for n in range(20)]
    results = secured.write([event.document for event in events], searchable=True)
    assert {result.outcome for result in results} == {Outcome.CREATED}
    return events


def test_events_are_written_once_and_found(secured: OpenSearchStore, trail: list[Sent]) -> None:
    query = Query(organization_id=trail[0].document.organization_id)
    again = secured.write([event.document for event in trail])
    assert {result.outcome for result in again} == {Outcome.DUPLICATE}
    assert walk(secured, query, 3) == bodies(matching(trail, query))
    assert secured.get(query, trail[3].id) == trail[3].document.body
    assert secured.count(query) == 20
    assert secured.facets(query, size=5) == facets_of(trail, 5)


def test_records_are_kept(secured: OpenSearchStore) -> None:
    kind = an_organization()
    first = secured.records.put(kind, "a", {"n": 1}, version=None)
    secured.records.put(kind, "a", {"n": 2}, version=first.version)
    assert [record.body for record in secured.records.list(kind)] == [{"n": 2}]
    secured.records.delete(kind, "a")
    assert secured.records.get(kind, "a") is None


def test_days_are_listed_and_go(secured: OpenSearchStore) -> None:
    document = sent(an_event(an_organization(), NOON + 9 * DAY), "90d").document
    secured.write([document], searchable=True)
    secured.check()
    day = date(2026, 11, 29)
    assert [each.events for each in secured.days() if each.day == day] == [1]
    assert secured.delete_day("90d", day) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"store_password": "wrong-hunter2"}, "refuses our user or password"),
        ({"store_ca_file": None}, "certificate that does not hold.*TRAILKEEPER_STORE_CA_FILE"),
    ],
)
def test_what_does_not_hold_is_said(secured_node: Node, changes: dict[str, object], says: str) -> None:
    store = open_store(settings_of(secured_node, **changes), open_day=lambda client: _nothing)
    with pytest.raises(StoreUnavailable, match=says) as error:
        store.check()
    assert "hunter2" not in str(error.value)
    store.close()


def test_not_checking_the_certificate_is_a_setting(secured_node: Node) -> None:
    client = connect(settings_of(secured_node, store_ca_file=None, store_verify=False))
    assert client.info()["version"]["distribution"] == "opensearch"
    client.close()


def test_a_password_in_the_url_is_taken(secured_node: Node) -> None:
    host = secured_node.url.removeprefix("https://")
    url = f"opensearch+https://{secured_node.user}:{secured_node.password}@{host}"
    client = connect(settings_of(secured_node, store_url=url, store_password=None))
    assert client.ping()
    client.close()


def _nothing(retention: str, day: object) -> None:
    """Open no day."""
