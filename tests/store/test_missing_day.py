"""A day's index that vanished is made anew by the lifecycle, never by a write."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from opensearchpy import OpenSearch

from audit.ids import new_id
from audit.settings import Settings
from index_templates.loader import prepare
from store.connect import connect
from store.names import day_index
from store.opensearch import OpenSearchStore
from store.protocol import Document, Outcome
from tests.nodes import Node

DAY = date(2031, 5, 17)
RETENTION = "91d"  # a class of this test's own


@pytest.fixture
def client(opensearch_node: Node) -> Iterator[OpenSearch]:
    client = connect(Settings.model_validate(opensearch_node.store_settings()))
    prepare(client)
    client.indices.delete(index=f"audit-{RETENTION}-*", ignore_unavailable=True)
    yield client
    client.indices.delete(index=f"audit-{RETENTION}-*", ignore_unavailable=True)
    client.close()


def document() -> Document:
    noon = datetime(2031, 5, 17, 12, tzinfo=UTC)
    event = {
        "id": new_id(),
        "occurred_at": "2031-05-17T12:00:00.000Z",
        "organization_id": "acme",
        "actor": {"type": "system"},
        "action": "a.b",
        "resource": {"type": "a"},
        "outcome": "success",
        "received_at": "2031-05-17T12:00:00.000Z",
        "log": {"id": "l", "index": 0},
    }
    return Document(event["id"], "acme", int(noon.timestamp() * 1000), RETENTION, orjson.dumps(event))


def test_an_index_that_was_deleted_is_opened_again_and_the_event_is_in_it(client: OpenSearch):
    opened: list[date] = []

    def open_day(retention: str, day: date) -> None:
        name = day_index(retention, day)
        if not client.indices.exists(index=name):
            opened.append(day)
            ends = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
            client.indices.create(index=name, body={"settings": {"index.creation_date": int(ends.timestamp() * 1000)}})

    forgetful = {"known": False}

    def open_once(retention: str, day: date) -> None:
        if not forgetful["known"]:
            open_day(retention, day)
            forgetful["known"] = True

    def forget(retention: str, day: date) -> None:
        forgetful["known"] = False

    store = OpenSearchStore(client, open_day=open_once, forget_day=forget)
    store.write([document()])
    client.indices.delete(index=day_index(RETENTION, DAY))

    (written,) = store.write([document()])

    assert written.outcome is Outcome.CREATED
    assert opened == [DAY, DAY]
    settings = client.indices.get_settings(index=day_index(RETENTION, DAY))[day_index(RETENTION, DAY)]["settings"]
    assert settings["index"]["creation_date"] == str(int(datetime(2031, 5, 18, tzinfo=UTC).timestamp() * 1000))


def test_a_write_makes_no_index_where_nobody_opens_the_day(client: OpenSearch):
    store = OpenSearchStore(client, open_day=lambda retention, day: None)

    (written,) = store.write([document()])

    assert written.outcome is Outcome.RETRY
    assert not client.indices.exists(index=day_index(RETENTION, DAY))
