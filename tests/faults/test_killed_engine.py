"""kill -9 of OpenSearch under load, and a while without it: ingest goes on, and everything arrives."""

import os
import time

from tests.faults.ledger import count
from tests.faults.load import Load
from tests.faults.service import Deployment, pass_time, until

AWAY_SECONDS = float(os.environ.get("TRAILKEEPER_TEST_AWAY_SECONDS", "15"))
"""How long the node is away, its own start not counted. 60 in the soak; shorter here, as nothing depends on how long."""


def test_opensearch_killed_under_load_and_away_loses_nothing(deployment: Deployment) -> None:
    ingest = deployment.ingest().start()
    with Load(ingest.port, deployment.key, deployment.organizations, batch=15, pace=0.1) as load:
        until(ingest.relayed, 30, "the first day indices are made")
        deployment.node.kill()
        gone = time.monotonic()
        before = len(load.book.acknowledged)
        pass_time(AWAY_SECONDS / 2)
        assert "events wait for the store" in ingest.get("/readyz").json()["checks"]["relay"]
        # An ingest that dies meanwhile starts without the engine too: keys and retentions are remembered beside the spool.
        ingest.kill()
        ingest.start()
        pass_time(AWAY_SECONDS / 2)
        during = len(load.book.acknowledged) - before
        assert during > 0, "ingest takes events while the engine is away"
        deployment.node.start()
        away = time.monotonic() - gone
        book = load.finish()
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\nOpenSearch killed and away for {away:.0f} s, {during:,} events acknowledged meanwhile: {counted}")
    assert counted.clean
