"""Real processes, real SIGKILL: what a returned call promised is in the journal, once, and gets to ingest, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

import trailkeeper
from sdk.tests.support import Ingest, journaled, until

# Emits as fast as it can, and tells each resource id once its call has returned. Killed at any moment.
EMITTER = """
import os, sys, trailkeeper
trailkeeper.configure(url=sys.argv[1] or None, journal=sys.argv[2], journal_segment_bytes=50_000, ship_interval=0.005)
audit = trailkeeper.get_logger(organization_id="org_1", actor={"id": "u_1"})
n = 0
while True:
    ident = f"{os.getpid()}-{n}"
    audit.info("api_key.create", resource_id=ident, details={"padding": "x" * (n % 400)})
    os.write(1, f"{ident}\\n".encode())
    n += 1
"""

# A pre-forking server: events before the fork, then workers that emit and end on their own or are killed.
PREFORK = """
import os, signal, sys, trailkeeper
trailkeeper.configure(url=sys.argv[1] or None, journal=sys.argv[2], ship_interval=0.005)
audit = trailkeeper.get_logger(organization_id="org_1", actor={"id": "u_1"})
audit.info("api_key.create", resource_id="parent-0")
children = []
for worker in range(4):
    if (pid := os.fork()) == 0:
        for n in range(200):
            audit.info("api_key.create", resource_id=f"{worker}-{n}")
        if worker == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if worker == 1:
            os._exit(0)
        sys.exit(0)
    children.append(pid)
for n in range(1, 200):
    audit.info("api_key.create", resource_id=f"parent-{n}")
for pid in children:
    os.waitpid(pid, 0)
audit.info("api_key.create", resource_id="parent-200")
print(trailkeeper.flush(10))
"""


def start(program: str, url: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, url, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def kill_while_emitting(folder: Path, url: str, dice: random.Random) -> list[str]:
    """Start an emitter, kill it at a random moment of its emitting, and give what it told."""
    process = start(EMITTER, url, folder)
    assert process.stdout is not None
    told = [process.stdout.readline()]  # it emits
    killer = threading.Timer(dice.uniform(0, 0.03), process.kill)
    killer.start()
    told += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    killer.join()
    process.stdout.close()
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


def test_what_a_returned_call_emitted_outlives_kill_9_exactly_once(folder: Path) -> None:
    """Twelve kills with nobody to ship to: the journal alone has to have it."""
    dice = random.Random(20261123)
    told: list[str] = []
    for _ in range(12):
        told += kill_while_emitting(folder, "", dice)

    kept = Counter(event["resource"]["id"] for event in journaled(folder))
    assert len(told) > 100
    assert [ident for ident in told if kept[ident] != 1] == []
    # A call that had not returned yet may have left its event, at most one a kill.
    assert len(kept) - len(told) <= 12


def test_what_a_returned_call_emitted_gets_to_ingest_whoever_ships_it(
    folder: Path, ingest: Ingest, audit: trailkeeper.AuditLogger
) -> None:
    """Twelve kills amid shipping, rotating and deleting, each process adopting what the last one left."""
    dice = random.Random(42)
    told: list[str] = []
    for _ in range(12):
        told += kill_while_emitting(folder, ingest.url, dice)

    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.delete")
    until(lambda: len(list(folder.glob("segment-*.ndjson"))) == 1)
    assert trailkeeper.flush(10)

    arrived = Counter(event["resource"].get("id") for event in ingest.events.values())
    assert len(told) > 100
    assert [ident for ident in told if arrived[ident] != 1] == []
    assert len(arrived) - 1 - len(told) <= 12


def test_emitters_killed_side_by_side_share_a_folder(
    folder: Path, ingest: Ingest, audit: trailkeeper.AuditLogger
) -> None:
    """As the workers of a server: four at once, killed together, one journal."""
    processes = [start(EMITTER, ingest.url, folder) for _ in range(4)]
    firsts = [process.stdout.readline() for process in processes if process.stdout]
    told = [line.decode().strip() for line in firsts]

    def kill_all() -> None:
        for process in processes:
            process.kill()

    killer = threading.Timer(0.1, kill_all)
    killer.start()
    for process in processes:
        assert process.stdout is not None
        told += [line.decode().strip() for line in process.stdout.readlines() if line.endswith(b"\n")]
        process.wait()
        process.stdout.close()
    killer.join()

    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.delete")
    until(lambda: len(list(folder.glob("segment-*.ndjson"))) == 1)

    arrived = Counter(event["resource"].get("id") for event in ingest.events.values())
    assert [ident for ident in told if arrived[ident] != 1] == []


@pytest.mark.parametrize("shipping", [False, True], ids=["journal alone", "shipping"])
def test_workers_forked_from_an_emitting_parent_lose_and_repeat_nothing(
    folder: Path, ingest: Ingest, shipping: bool
) -> None:
    process = start(PREFORK, ingest.url if shipping else "", folder)
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    events = list(ingest.events.values()) if shipping else journaled(folder)
    if shipping:  # what the killed worker left is its parent's, or the next process's, to ship
        trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
        trailkeeper.get_logger().info("api_key.delete", organization_id="org_1", actor={"id": "u_1"})
        until(lambda: len(list(folder.glob("segment-*.ndjson"))) == 1 and trailkeeper.flush(1))
        assert out == b"True\n"
        events = [event for event in ingest.events.values() if event["action"] == "api_key.create"]
    expected = [f"{worker}-{n}" for worker in range(4) for n in range(200)] + [f"parent-{n}" for n in range(201)]
    assert sorted(event["resource"]["id"] for event in events) == sorted(expected)
    assert len({event["id"] for event in events}) == len(expected)


def test_a_program_that_ends_ships_what_it_emitted(folder: Path, ingest: Ingest) -> None:
    program = EMITTER.replace("while True", "while n < 50")
    subprocess.run([sys.executable, "-c", program, ingest.url, str(folder)], check=True, stdout=subprocess.DEVNULL)

    assert len(ingest.events) == 50
    assert list(folder.glob("segment-*")) == []


def test_a_program_that_ends_while_ingest_is_away_is_not_held_up(folder: Path) -> None:
    program = EMITTER.replace("while True", "while n < 50")
    command = [sys.executable, "-c", program, "http://127.0.0.1:9", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=10)

    assert len(journaled(folder)) == 50


def test_a_segment_is_left_to_its_writer_until_that_is_dead(folder: Path) -> None:
    """A stopped process is not a dead one: nobody takes its segment."""
    from trailkeeper.delivery.segment import Segment, segment_paths

    process = start(EMITTER, "", folder)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert Segment.adopt(segment_paths(folder)[-1]) is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    adopted = Segment.adopt(segment_paths(folder)[-1])
    assert adopted is not None
    adopted.release()
