"""One event of a thousand that the engine won't take: a dead letter with its words, and the others are indexed."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from audit.instants import to_ms
from audit.retention import end_of
from store.names import day_index
from tests.faults.ledger import count
from tests.faults.load import Batch, Book, Organization, post
from tests.faults.service import Deployment, Ingest, until


@pytest.fixture
def refusing_day(deployment: Deployment) -> tuple[int, str]:
    """A day whose index somebody made with another mapping: it takes no text as `source`. Days ago, and its name."""
    days = random.Random(deployment.run).randrange(10, 80)
    day = datetime.now(UTC).date() - timedelta(days=days)
    name = day_index("90d", day)
    with deployment.node.http() as http:
        http.delete(f"/{name}", params={"ignore_unavailable": "true"}).raise_for_status()
        http.put(
            f"/{name}",
            json={
                "settings": {"index.creation_date": to_ms(end_of(day))},
                "mappings": {"properties": {"source": {"type": "integer"}}},
            },
        ).raise_for_status()
    return days, name


def sent(deployment: Deployment, ingest: Ingest, days: int, source: str = "load") -> tuple[Book, Batch, str]:
    """Send a thousand events, one of them of that day; return the book, the thousand, and the one."""
    book, dice = Book(), random.Random(7)
    ninety = [Organization(deployment.organizations[0].id, "90d")]
    good = book.batch(ninety, 999, dice)
    bad = book.batch(ninety, 1, dice, days=[days], source=source)
    thousand = Batch([*good.ids[:500], *bad.ids, *good.ids[500:]], [*good.lines[:500], *bad.lines, *good.lines[500:]])
    status, answer = post(ingest.port, deployment.key, thousand.lines)
    assert status == 202
    book.note(answer)
    assert len(book.acknowledged) == 1000
    until(lambda: ingest.waiting() == 0, 60, "all are settled")
    return book, thousand, bad.ids[0]


def test_one_event_of_a_thousand_becomes_a_dead_letter_and_is_replayed_when_the_mapping_is_mended(
    deployment: Deployment, refusing_day: tuple[int, str]
) -> None:
    days, index = refusing_day
    ingest = deployment.ingest().start()
    book, _, refused = sent(deployment, ingest, days)
    organizations = [each.id for each in deployment.organizations]

    counted = count(deployment.node, book, organizations, [ingest.spool])
    print(f"\none of a thousand refused: {counted}")
    assert counted.clean
    assert (counted.found, counted.dead_letters) == (999, 1)

    (listed,) = json.loads(ingest.run("deadletters", "list", "--json").stdout)
    assert refused == listed["id"]
    shown = json.loads(ingest.run("deadletters", "show", refused).stdout)
    assert "failed to parse field [source] of type [integer]" in shown["error"]
    assert refused == shown["event"]["id"]

    # Replayed with nothing mended, it stays.
    again = ingest.run("deadletters", "replay", refused, ok=False)
    assert again.returncode == 1
    assert ingest.dead() == 1
    # Mended, while the service runs.
    with deployment.node.http() as http:
        http.delete(f"/{index}").raise_for_status()
    ingest.run("deadletters", "replay", "--all")
    assert ingest.dead() == 0
    counted = count(deployment.node, book, organizations, [ingest.spool])
    print(f"replayed: {counted}")
    assert counted.clean
    assert (counted.found, counted.dead_letters) == (1000, 0)


def test_a_discarded_dead_letter_is_on_the_trail_with_its_reason(
    deployment: Deployment, refusing_day: tuple[int, str]
) -> None:
    days, _ = refusing_day
    ingest = deployment.ingest().start()
    _, _, refused = sent(deployment, ingest, days)
    ingest.run("deadletters", "discard", refused, "--reason", "a test's event", "--yes")
    assert ingest.dead() == 0
    with deployment.node.http() as http:
        http.post("/audit-*/_refresh").raise_for_status()
        found = http.post(
            "/audit-*/_search",
            json={
                "query": {"bool": {"filter": [{"term": {"resource.id": refused}}]}},
                "sort": ["occurred_at", "log.index"],
            },
        ).json()["hits"]["hits"]
    buried, told = [hit["_source"] for hit in found]
    assert (buried["action"], buried["organization_id"]) == ("dead_letter.create", deployment.organizations[0].id)
    assert (told["action"], told["organization_id"]) == ("dead_letter.discard", deployment.organizations[0].id)
    assert told["details"]["reason"] == "a test's event"


def test_a_sender_that_waits_for_the_index_is_told_which_one_was_refused(
    deployment: Deployment, refusing_day: tuple[int, str]
) -> None:
    days, _ = refusing_day
    ingest = deployment.ingest().start()
    book, dice = Book(), random.Random(1)
    ninety = [Organization(deployment.organizations[0].id, "90d")]
    bad = book.batch(ninety, 1, dice, days=[days])
    good = book.batch(ninety, 5, dice)
    status, answer = post(ingest.port, deployment.key, [*bad.lines, *good.lines], "?ack=indexed")
    assert status == 202
    results = json.loads(answer)["results"]
    assert ["rejected", *["accepted"] * 5] == [result["status"] for result in results]
    assert "dead letters" in results[0]["problem"]["detail"]
    until(lambda: ingest.dead() == 1, 30, "it lies there")  # until then it waits in the spool: told is before moved
