"""The deliveries that ask ingest: `wait` falls back to the journal, `strict` raises."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import trailkeeper
from sdk.tests.support import Ingest, journaled, problem, rejected

Audit = trailkeeper.AuditLogger


@pytest.mark.parametrize("delivery", ["wait", "strict"])
def test_ingest_has_the_event_when_the_call_returns(audit: Audit, folder: Path, ingest: Ingest, delivery: str) -> None:
    trailkeeper.configure(url=ingest.url, key="k", journal=folder, delivery=delivery)

    for n in range(3):
        audit.info("api_key.create", resource_id=n)
        assert len(ingest.events) == n + 1

    assert not folder.exists()


@pytest.mark.parametrize("delivery", ["wait", "strict"])
def test_a_connection_that_ingest_closed_meanwhile_is_no_failure(
    audit: Audit, folder: Path, ingest: Ingest, delivery: str
) -> None:
    commit, cut = ingest.answer, iter([False, True, False])
    ingest.answer = lambda *request: (0, {}, b"") if next(cut) else commit(*request)  # type: ignore[method-assign]
    trailkeeper.configure(url=ingest.url, journal=folder, delivery=delivery)

    audit.info("api_key.create")
    audit.info("api_key.create")

    assert len(ingest.events) == 2
    assert not folder.exists()


def test_wait_falls_back_to_the_journal_and_asks_again_later(
    audit: Audit, folder: Path, ingest: Ingest, caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behave = lambda _: problem(503)
    trailkeeper.configure(url=ingest.url, journal=folder, delivery="wait", ship_interval=0.01)

    with caplog.at_level(logging.WARNING):
        audit.info("api_key.create")
        audit.info("api_key.create")

    assert len(journaled(folder)) == 2
    assert caplog.text.count("did not commit an event") == 1
    ingest.behave = lambda _: None
    assert trailkeeper.flush(10)
    assert len(ingest.events) == 2


def test_wait_gives_up_after_its_timeout_and_loses_and_repeats_nothing(
    audit: Audit, folder: Path, ingest: Ingest
) -> None:
    ingest.hold = threading.Event()
    trailkeeper.configure(url=ingest.url, journal=folder, delivery="wait", timeout=0.2, ship_interval=0.01)

    started = time.monotonic()
    audit.info("api_key.create")

    assert 0.2 <= time.monotonic() - started < 2
    ingest.hold.set()
    assert trailkeeper.flush(10)
    assert (len(ingest.events), ingest.duplicates) == (1, 1)


def test_wait_keeps_what_ingest_rejects_aside(audit: Audit, folder: Path, ingest: Ingest) -> None:
    ingest.reject = lambda event: {"detail": "No."}
    trailkeeper.configure(url=ingest.url, journal=folder, delivery="wait")

    audit.info("api_key.create")
    audit.info("not an action")

    assert [kept["problem"].get("field") for kept in rejected(folder)] == [None, "action"]


def test_strict_tries_again_within_its_timeout(audit: Audit, ingest: Ingest) -> None:
    answers: list[Any] = [problem(503), problem(429, Retry_After="0.01"), (0, {}, b"")]
    ingest.behave = lambda _: answers.pop(0) if answers else None
    trailkeeper.configure(url=ingest.url, delivery="strict", timeout=10)

    audit.info("api_key.create")

    assert len(ingest.events) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (problem(503), r"did not commit the event [0-9a-f-]{36} within 0\.3 s: HTTP 503.*Undo what it was about"),
        (problem(503, Retry_After="60"), "HTTP 503"),
        (problem(401), "HTTP 401.*Check TRAILKEEPER_URL and TRAILKEEPER_INGEST_KEY"),
        (problem(404), "HTTP 404"),
    ],
)
def test_strict_raises_what_to_do_next(audit: Audit, ingest: Ingest, answer: Any, message: str) -> None:
    ingest.behave = lambda _: answer
    trailkeeper.configure(url=ingest.url, delivery="strict", timeout=0.3)

    started = time.monotonic()
    with pytest.raises(trailkeeper.DeliveryError, match=message):
        audit.info("api_key.create")
    assert time.monotonic() - started < 2


def test_strict_raises_where_ingest_hangs(audit: Audit, ingest: Ingest) -> None:
    ingest.hold = threading.Event()
    trailkeeper.configure(url=ingest.url, delivery="strict", timeout=0.2)

    with pytest.raises(trailkeeper.DeliveryError, match=r"no answer within"):
        audit.info("api_key.create")


def test_strict_raises_where_nobody_listens(audit: Audit) -> None:
    trailkeeper.configure(url="http://127.0.0.1:9", delivery="strict", timeout=0.2)

    with pytest.raises(trailkeeper.DeliveryError, match="ConnectionRefusedError"):
        audit.info("api_key.create")


def test_strict_raises_the_problem_of_a_rejected_event(audit: Audit, ingest: Ingest) -> None:
    why = {"title": "Too old", "detail": "It is past retention.", "field": "occurred_at", "fix": "Send it sooner."}
    ingest.reject = lambda event: why
    trailkeeper.configure(url=ingest.url, delivery="strict")

    with pytest.raises(trailkeeper.RejectedError, match=r"past retention\. Send it sooner\.") as caught:
        audit.info("api_key.create")
    assert caught.value.problem == why


def test_strict_raises_for_a_call_that_makes_no_event(audit: Audit, ingest: Ingest) -> None:
    trailkeeper.configure(url=ingest.url, delivery="strict")

    with pytest.raises(trailkeeper.InvalidEventError, match="organization_id is missing"):
        trailkeeper.get_logger().info("api_key.create")
    assert ingest.requests == []


async def _emit(audit: Audit) -> str:
    await audit.ainfo("api_key.create")
    return threading.current_thread().name


def test_ainfo_waits_in_a_thread(audit: Audit, ingest: Ingest) -> None:
    import asyncio

    ingest.hold = threading.Event()
    trailkeeper.configure(url=ingest.url, delivery="strict", timeout=10)

    async def main() -> None:
        task = asyncio.create_task(_emit(audit))
        while not ingest.requests:
            await asyncio.sleep(0)  # the loop goes on meanwhile
        assert ingest.hold is not None
        ingest.hold.set()
        await task

    asyncio.run(main())
    assert len(ingest.events) == 1


def test_a_delivery_of_ones_own_takes_event_and_line(audit: Audit) -> None:
    class Outbox(trailkeeper.Delivery):
        def __init__(self) -> None:
            self.rows: list[tuple[str, bytes]] = []

        def deliver(self, event: Any, line: bytes) -> None:
            self.rows.append((event["id"], line))

    outbox = Outbox()
    trailkeeper.configure(delivery=outbox, source="gateway")
    audit.info("api_key.create")

    ((ident, line),) = outbox.rows
    assert ident.encode() in line
    assert b'"source":"gateway"}\n' in line
    with pytest.raises(trailkeeper.InvalidEventError):
        audit.info("nothing")
    assert trailkeeper.flush(0)
