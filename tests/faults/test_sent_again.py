"""The same batch from two senders at once, and again the next day: one copy, and everybody is told it is safe."""

import json
import random
import threading

from tests.faults.ledger import count
from tests.faults.load import Batch, Book, post
from tests.faults.service import Deployment, Ingest


def both(ports: tuple[int, int], key: str, batches: list[Batch], book: Book) -> list[str]:
    """Send each batch from two threads at the same moment; return every status that was told."""
    told: list[str] = []
    start = threading.Barrier(2)

    def send(port: int) -> None:
        for batch in batches:
            start.wait(30)
            status, answer = post(port, key, batch.lines)
            assert status == 202, answer
            book.note(answer)
            told.extend(result["status"] for result in json.loads(answer)["results"])

    threads = [threading.Thread(target=send, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def counted_in(deployment: Deployment, book: Book, *instances: Ingest) -> str:
    for ingest in instances:
        ingest.drain()
    counted = count(
        deployment.node, book, [each.id for each in deployment.organizations], [each.spool for each in instances]
    )
    assert counted.clean, counted
    assert not book.rejected
    return str(counted)


def test_two_senders_at_once_to_one_instance_and_to_two(deployment: Deployment) -> None:
    one, two = deployment.ingest().start(wait=False), deployment.ingest().start(wait=False)
    one.wait_until_up()
    two.wait_until_up()
    book, dice = Book(), random.Random(6)
    batches = [book.batch(deployment.organizations, 200, dice) for _ in range(10)]
    told = both((one.port, one.port), deployment.key, batches, book)
    assert (told.count("accepted"), told.count("duplicate")) == (2000, 2000)
    # Two instances don't know of each other: each commits, and the store knows the ids.
    batches = [book.batch(deployment.organizations, 200, dice) for _ in range(10)]
    told = both((one.port, two.port), deployment.key, batches, book)
    assert told.count("accepted") == 4000
    print(f"\ntwo senders at once: {counted_in(deployment, book, one, two)}")
    assert one.dead() == two.dead() == 0


def test_again_the_next_day_when_ingest_has_forgotten_the_store_has_not(deployment: Deployment) -> None:
    ingest = deployment.ingest(TRAILKEEPER_DEDUPE_WINDOW="0").start()
    book, dice = Book(), random.Random(6)
    batch = book.batch(deployment.organizations, 500, dice)
    first = post(ingest.port, deployment.key, batch.lines)
    assert first[0] == 202
    book.note(first[1])
    ingest.drain()
    assert ingest.stop() == 0
    # Another machine, an empty spool, and the sender has kept the batch.
    fresh = deployment.ingest().start()
    for _ in range(2):
        status, answer = post(fresh.port, deployment.key, batch.lines, "?ack=searchable")
        assert status == 202
        assert {"duplicate"} == {result["status"] for result in json.loads(answer)["results"]}
    ingest.start()
    status, answer = post(ingest.port, deployment.key, batch.lines, "?ack=indexed")
    assert status == 202
    assert {"duplicate"} == {result["status"] for result in json.loads(answer)["results"]}
    print(f"\nagain the next day: {counted_in(deployment, book, fresh)}")
    assert ingest.dead() == fresh.dead() == 0
