"""kill -9 of ingest: at random moments, and at each point where a commit or a delivery is half done."""

import random
import signal
import time

import pytest

from tests.faults.ledger import count
from tests.faults.load import Load
from tests.faults.service import Deployment, pass_time, until

KILLS = 50


def test_fifty_kills_in_a_row_under_load_lose_nothing(deployment: Deployment) -> None:
    dice = random.Random(4)
    ingest = deployment.ingest().start()
    began = time.monotonic()
    with Load(ingest.port, deployment.key, deployment.organizations) as load:
        for _ in range(KILLS):
            served = len(load.book.acknowledged)
            until(lambda served=served: len(load.book.acknowledged) > served, 30, "a batch is acknowledged")
            pass_time(dice.uniform(0, 0.4))
            ingest.kill()
            ingest.start()
        seconds = time.monotonic() - began
        book = load.finish()
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\n{KILLS} kills of ingest in {seconds:.0f} s, {book.failures} requests failed: {counted}")
    assert counted.clean
    assert seconds < 300


@pytest.mark.parametrize(
    "point", ["before-commit", "after-commit", "mid-bulk", "half-bulk", "before-prune", "in-prune"]
)
def test_a_kill_at_each_point_of_an_events_way_loses_nothing(deployment: Deployment, point: str) -> None:
    ingest = deployment.crashing_ingest(f"{point}:3").start()
    with Load(ingest.port, deployment.key, deployment.organizations, senders=3, batch=100) as load:
        assert ingest.wait_until_dead() == -signal.SIGKILL
        served = len(load.book.acknowledged)
        ingest.start(TRAILKEEPER_TEST_FAULTS="")
        until(lambda: len(load.book.acknowledged) > served, 30, "it serves again")
        book = load.finish()
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\nkilled {point}: {counted}")
    assert counted.clean
