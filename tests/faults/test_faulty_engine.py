"""An OpenSearch that says no, half yes, nothing, or yes too late: the proxy's faults before the real node."""

import random
from collections.abc import Iterator

import pytest

from tests.faults import proxy as faults
from tests.faults.ledger import count
from tests.faults.load import Load
from tests.faults.proxy import Fault, Proxy
from tests.faults.service import Deployment, until

EACH = {
    "429 for the whole request": faults.bulk(faults.status(429), every=2),
    "503 for the whole request": faults.bulk(faults.status(503), every=2),
    "502 as a page of HTML": faults.bulk(faults.not_json, every=2),
    "429 and 503 for some items": faults.bulk(faults.partial(), every=2),
    "no answer at all": faults.bulk(faults.hang, every=3),
    "the connection cut before the engine heard": faults.bulk(faults.cut_before, every=2),
    "the connection cut amid its answer": faults.bulk(faults.cut_within, every=2),
    "an answer after the timeout": faults.bulk(faults.too_late, every=3),
}


@pytest.fixture
def proxy(deployment: Deployment) -> Iterator[Proxy]:
    with Proxy(deployment.node) as proxy:
        yield proxy


@pytest.mark.parametrize("fault", EACH.values(), ids=EACH.keys())
def test_an_engine_that_fails_now_and_then_ends_with_one_copy_of_each(
    deployment: Deployment, proxy: Proxy, fault: Fault, request: pytest.FixtureRequest
) -> None:
    ingest = deployment.ingest(store_url=proxy.url, TRAILKEEPER_STORE_TIMEOUT_SECONDS="0.5").start()
    with Load(ingest.port, deployment.key, deployment.organizations, senders=3) as load:
        until(ingest.relayed, 30, "the first day indices are made")
        proxy.fault = fault
        until(lambda: proxy.done >= 5, 60, "the fault was met five times")
        book = load.finish()
    ingest.drain()
    met = proxy.done
    proxy.fault = None
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\n{request.node.callspec.id}, met {met} times: {counted}")
    assert counted.clean
    assert counted.dead_letters == 0
    assert book.failures == 0, "what the engine does is no sender's concern"


def test_every_kind_of_request_may_fail_not_only_bulk(deployment: Deployment, proxy: Proxy) -> None:
    """Keys, retentions, templates, day indices: the first events of a process need them all."""
    turn = iter(range(1_000_000))
    kinds = (faults.status(503), faults.cut_before, faults.cut_within)
    ingest = deployment.ingest(store_url=proxy.url, TRAILKEEPER_STORE_TIMEOUT_SECONDS="0.5").start()

    def by_turns(exchange: faults.Exchange) -> bool:
        number = next(turn)
        return bool(number % 2) and kinds[number // 2 % len(kinds)](exchange)

    proxy.fault = by_turns
    fresh = [random.Random(deployment.run).randrange(5, 80)]
    with Load(ingest.port, deployment.key, deployment.organizations, senders=3, days=fresh) as load:
        until(lambda: proxy.done >= 30 and load.book.acknowledged, 60, "thirty requests of all kinds failed")
        book = load.finish()
        ingest.drain()
    met = proxy.done
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\nevery second request of any kind fails, met {met} times: {counted}")
    assert counted.clean


def test_while_the_engine_is_away_readyz_says_why_and_afterwards_that_it_is_back(
    deployment: Deployment, proxy: Proxy
) -> None:
    ingest = deployment.ingest(store_url=proxy.url, TRAILKEEPER_STORE_TIMEOUT_SECONDS="0.5").start()
    with Load(ingest.port, deployment.key, deployment.organizations, senders=2) as load:
        until(lambda: load.book.acknowledged, 30, "the first acknowledgement")
        proxy.fault = faults.status(503)
        until(
            lambda: "events wait for the store" in ingest.get("/readyz").json()["checks"]["relay"],
            30,
            "/readyz says so",
        )
        assert ingest.get("/readyz").status_code == 200, "ingest goes on: that is what the spool is for"
        acknowledged = len(load.book.acknowledged)
        until(lambda: len(load.book.acknowledged) > acknowledged, 30, "events are taken all the while")
        proxy.fault = None
        book = load.finish()
    ingest.drain()
    until(lambda: ingest.get("/readyz").json()["status"] == "ready", 30, "/readyz is content again")
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\nengine away: {counted}")
    assert counted.clean
