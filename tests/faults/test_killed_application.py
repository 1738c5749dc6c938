"""kill -9 of an application that emits, and its journal's last line torn: the SDK, ingest and the store, all real."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from tests.faults.ledger import stored
from tests.faults.service import ROOT, Deployment

# Tells each resource id once its call has returned.
EMITTER = """
import os, sys, time, trailkeeper
trailkeeper.configure(ship_interval=0.02, source="shop")
audit = trailkeeper.get_logger(organization_id=sys.argv[1], actor={"id": "u_1"})
for n in range(int(sys.argv[2])):
    ident = f"{os.getpid()}-{n}"
    audit.info("api_key.create", resource_id=ident, details={"padding": "x" * (n % 300)})
    os.write(1, f"{ident}\\n".encode())
    time.sleep(0.001)
sys.exit(0 if trailkeeper.flush(60) else 1)
"""
KILLS = 8


def start(deployment: Deployment, port: int, journal: Path, events: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "TRAILKEEPER_URL": f"http://127.0.0.1:{port}",
        "TRAILKEEPER_INGEST_KEY": deployment.key,
        "TRAILKEEPER_JOURNAL": str(journal),
    }
    return subprocess.Popen(
        [sys.executable, "-c", EMITTER, deployment.organizations[0].id, str(events)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def tear(journal: Path) -> None:
    """Leave half a line at the end of the newest segment, as a power loss amid a write does."""
    segments = sorted(journal.glob("segment-*.ndjson"), key=lambda path: path.stat().st_mtime)
    if segments:
        line = b'{"id":"01a20000-0000-7000-8000-000000000000","occurred_at":"2026-11-23T10:00:00.000Z","organiz'
        with segments[-1].open("ab") as segment:
            segment.write(line)


def test_what_a_killed_application_emitted_is_in_the_store_once(deployment: Deployment, tmp_path: Path) -> None:
    dice = random.Random(10)
    ingest = deployment.ingest().start()
    told: list[str] = []
    for number in range(KILLS):
        process = start(deployment, ingest.port, tmp_path, 100_000)
        assert process.stdout is not None
        try:
            told.append(process.stdout.readline().decode().strip())
            killer = threading.Timer(dice.uniform(0, 0.5), process.kill)
            killer.start()
            told += [line.decode().strip() for line in process.stdout.readlines() if line.endswith(b"\n")]
            assert process.wait(30) == -signal.SIGKILL
        finally:
            process.kill()
            process.stdout.close()
        tear(tmp_path)
        if number % 3 == 2:  # and ingest with it
            ingest.kill()
            ingest.start()
    # The next one that emits ships what the killed ones left.
    last = start(deployment, ingest.port, tmp_path, 20)
    assert last.stdout is not None
    told += last.communicate(timeout=120)[0].decode().split()
    assert last.returncode == 0
    ingest.drain()

    events = [json.loads(one.body) for one in stored(deployment.node, [deployment.organizations[0].id])]
    found = Counter(event["resource"].get("id") for event in events if event["action"] == "api_key.create")
    lost = [ident for ident in told if found[ident] == 0]
    twice = [ident for ident, copies in found.items() if copies > 1]
    print(
        f"\n{KILLS} kills of an application: emitted {len(told):,}, found {len(found):,}, "
        f"duplicates {len(twice)}, lost {len(lost)}"
    )
    assert len(told) > 100
    assert (lost, twice) == ([], [])
    assert len(found) - len(told) <= KILLS, "at most one a kill whose call had not returned"
