"""A server's clock that is ahead, behind, and steps back while it runs: numbers, duplicates and limits hold."""

import json
import random
from pathlib import Path

from tests.faults.ledger import count, stored
from tests.faults.load import Book, Load, Organization, post
from tests.faults.service import Deployment, Ingest, until


def with_clock(deployment: Deployment, folder: Path) -> tuple[Ingest, Path]:
    clock = folder / "clock"
    clock.write_text("0")
    return deployment.crashing_ingest(f"clock:{clock}").start(), clock


def step(clock: Path, seconds: float) -> None:
    draft = clock.with_suffix(".draft")
    draft.write_text(str(seconds))
    draft.replace(clock)


def test_steps_ahead_and_back_while_it_runs_lose_and_double_nothing(deployment: Deployment, tmp_path: Path) -> None:
    ingest, clock = with_clock(deployment, tmp_path)
    first, dice = Book(), random.Random(8)
    batch = first.batch(deployment.organizations, 50, dice)
    assert post(ingest.port, deployment.key, batch.lines)[0] == 202
    with Load(ingest.port, deployment.key, deployment.organizations, senders=3) as load:
        for ahead in (7200, -250, 90_000, 3600, -200, 0):
            step(clock, ahead)
            served = len(load.book.acknowledged)
            until(lambda served=served: len(load.book.acknowledged) > served + 200, 30, "events at this hour")
            answer = json.loads(post(ingest.port, deployment.key, batch.lines)[1])
            assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (0, 50, 0)
        book = load.finish()
    ingest.drain()
    assert not book.rejected
    book = Book.together([book, first])
    book.acknowledged |= set(batch.ids)
    organizations = [each.id for each in deployment.organizations]
    counted = count(deployment.node, book, organizations, [ingest.spool])
    received = sorted(
        (event["log"]["index"], event["received_at"])
        for event in (json.loads(one.body) for one in stored(deployment.node, organizations))
    )
    assert [at for _, at in received] != sorted(at for _, at in received), "the clock did step back"
    print(f"\nsteps of the clock: {counted}")
    assert counted.clean


def test_limits_are_by_the_servers_clock_and_say_so(deployment: Deployment, tmp_path: Path) -> None:
    """Nothing is acknowledged and dropped: each event is refused with the reason, and taken when the clock is right."""
    ingest, clock = with_clock(deployment, tmp_path)
    book, dice = Book(), random.Random(8)
    ninety = [Organization(deployment.organizations[0].id, "90d")]
    batch = book.batch(ninety, 20, dice, days=[0])
    for ahead, why in ((-7200, "ahead of the server's clock"), (95 * 86400, "past the organization's retention")):
        step(clock, ahead)
        status, answer = post(ingest.port, deployment.key, batch.lines)
        results = json.loads(answer)["results"]
        assert status == 202
        assert {"rejected"} == {result["status"] for result in results}
        assert all(why in result["problem"]["detail"] for result in results)
    step(clock, 0)
    book.note(post(ingest.port, deployment.key, batch.lines)[1])
    ingest.drain()
    counted = count(deployment.node, book, [ninety[0].id], [ingest.spool])
    print(f"\nlimits under a wrong clock: {counted}")
    assert counted.clean
    assert counted.found == 20
