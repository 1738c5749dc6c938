"""The journal: what is in it, how it is shipped, what happens when ingest or the disk does not play along."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import trailkeeper
from sdk.tests.support import Ingest, journaled, problem, rejected, until
from trailkeeper.delivery.segment import Segment

Audit = trailkeeper.AuditLogger


def test_an_event_is_in_the_journal_when_the_call_returns(audit: Audit, folder: Path) -> None:
    trailkeeper.configure(journal=folder)

    audit.info("api_key.create", resource_name="Ключ")

    (path,) = folder.glob("segment-*.ndjson")
    assert path.read_bytes().endswith(b"}\n")
    assert "Ключ" in path.read_text()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_journal_is_shipped_in_batches_under_the_key(audit: Audit, folder: Path, ingest: Ingest) -> None:
    trailkeeper.configure(url=ingest.url + "/base/", key="k", source="gateway", journal=folder)

    for n in range(1000):
        audit.info("api_key.create", resource_id=n)

    assert trailkeeper.flush(10)
    assert [event["resource"]["id"] for event in ingest.events.values()] == [str(n) for n in range(1000)]
    assert {event["source"] for event in ingest.events.values()} == {"gateway"}
    request = ingest.requests[0]
    assert request["path"] == "/base/v1/events"
    assert request["headers"]["Authorization"] == "Bearer k"
    assert request["headers"]["Content-Type"] == "application/x-ndjson"
    assert len(ingest.requests) < 50


def test_the_thread_ships_without_being_asked(audit: Audit, folder: Path, ingest: Ingest) -> None:
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)

    audit.info("api_key.create")

    until(lambda: len(ingest.events) == 1)


def test_close_leaves_nothing_behind_and_the_next_event_opens_it_again(
    audit: Audit, folder: Path, ingest: Ingest
) -> None:
    trailkeeper.configure(url=ingest.url, journal=folder)
    audit.info("api_key.create")
    trailkeeper.close()

    assert list(folder.glob("segment-*")) == []
    audit.info("api_key.delete")
    assert trailkeeper.flush(10)
    assert [event["action"] for event in ingest.events.values()] == ["api_key.create", "api_key.delete"]


@pytest.mark.parametrize(
    "answers",
    [
        [problem(503)],
        [problem(429, Retry_After="0")],
        [problem(507, Retry_After="0.01"), problem(500)],
        [(202, {}, b"hello")],
        [(202, {}, b'{"results":[],"accepted":0,"duplicate":0,"rejected":0}')],
        [(0, {}, b"")],
    ],
    ids=["503", "429", "507 then 500", "not ingest", "does not add up", "cut"],
)
def test_what_ingest_does_not_commit_is_sent_again(
    audit: Audit, folder: Path, ingest: Ingest, answers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behave = lambda _: answers.pop(0) if answers else None
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)

    with caplog.at_level(logging.WARNING, "trailkeeper"):
        audit.info("api_key.create")
        until(lambda: ingest.events)

    assert len(ingest.events) == 1
    assert "shipped later" in caplog.text


def test_a_wrong_key_is_said_once_and_costs_no_event(
    audit: Audit, folder: Path, ingest: Ingest, caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behave = lambda _: problem(401)
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.create")
    trailkeeper.flush(0.2)
    trailkeeper.flush(0.2)

    assert caplog.text.count("does not take events as configured (HTTP 401") == 1
    ingest.behave = lambda _: None
    assert trailkeeper.flush(10)
    assert len(ingest.events) == 1


def test_a_proxys_refusal_is_not_taken_for_ingests(audit: Audit, folder: Path, ingest: Ingest) -> None:
    """As nginx says 400 to plain HTTP on its TLS port: about the address, not about any event."""
    ingest.behave = lambda _: problem(400, Content_Type="text/html")
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.create")
    until(lambda: ingest.requests)

    assert not trailkeeper.flush(0.1)
    assert rejected(folder) == []
    ingest.behave = lambda _: None
    assert trailkeeper.flush(10)


def test_a_rejected_event_is_kept_with_its_problem_and_its_neighbours_go_on(
    audit: Audit, folder: Path, ingest: Ingest, caplog: pytest.LogCaptureFixture
) -> None:
    why = {"title": "Too old", "detail": "occurred_at is past retention.", "field": "occurred_at"}
    ingest.reject = lambda event: why if event["resource"]["id"] == "3" else None
    trailkeeper.configure(url=ingest.url, journal=folder)

    for n in range(6):
        audit.info("api_key.create", resource_id=n)

    assert trailkeeper.flush(10)
    assert [event["resource"]["id"] for event in ingest.events.values()] == ["0", "1", "2", "4", "5"]
    (kept,) = rejected(folder)
    assert (kept["problem"], kept["event"]["resource"]["id"]) == (why, "3")
    assert caplog.text.count("rejected an event") == 1


def test_a_batch_that_is_too_large_is_sent_in_parts(audit: Audit, folder: Path, ingest: Ingest) -> None:
    def too_large(lines: list[bytes]) -> Any:
        return problem(413) if len(lines) > 2 or any(b'"id":"4"' in line for line in lines) else None

    ingest.behave = too_large
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=60)

    for n in range(7):
        audit.info("api_key.create", resource_id=n)

    assert trailkeeper.flush(10)
    assert [event["resource"]["id"] for event in ingest.events.values()] == ["0", "1", "2", "3", "5", "6"]
    (kept,) = rejected(folder)
    assert (kept["problem"]["status"], kept["event"]["resource"]["id"]) == (413, "4")


def test_a_lost_answer_is_asked_for_again_and_the_event_is_there_once(
    audit: Audit, folder: Path, ingest: Ingest
) -> None:
    committed_unheard = iter([True])
    commit = ingest.answer

    def answer(*request: Any) -> Any:
        given = commit(*request)
        return (0, {}, b"") if next(committed_unheard, False) else given

    ingest.answer = answer  # type: ignore[method-assign,assignment]
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)

    audit.info("api_key.create")

    assert trailkeeper.flush(10)
    assert (len(ingest.events), ingest.duplicates) == (1, 1)


def test_a_hanging_ingest_does_not_hold_the_application_up(audit: Audit, folder: Path, ingest: Ingest) -> None:
    ingest.hold = threading.Event()
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.create")
    until(lambda: ingest.requests)

    started = time.monotonic()
    for _ in range(200):
        audit.info("api_key.create")

    assert time.monotonic() - started < 1
    assert not trailkeeper.flush(0.05)
    ingest.hold.set()
    assert trailkeeper.flush(10)
    assert len(ingest.events) == 201


def test_segments_rotate_and_go_when_they_are_shipped(audit: Audit, folder: Path, ingest: Ingest) -> None:
    ingest.behave = lambda _: problem(503)
    trailkeeper.configure(
        url=ingest.url, journal=folder, journal_segment_bytes=4096, journal_max_bytes=10**8, ship_interval=0.01
    )
    for n in range(200):
        audit.info("api_key.create", resource_id=n)
    assert len(list(folder.glob("segment-*.ndjson"))) > 5
    assert all(path.stat().st_size <= 4096 for path in folder.glob("segment-*.ndjson"))

    ingest.behave = lambda _: None
    assert trailkeeper.flush(10)

    assert [event["resource"]["id"] for event in ingest.events.values()] == [str(n) for n in range(200)]
    until(lambda: len(list(folder.glob("segment-*.ndjson"))) == 1)


def test_past_its_bound_the_oldest_is_dropped_counted_and_reported(
    audit: Audit, folder: Path, ingest: Ingest, caplog: pytest.LogCaptureFixture
) -> None:
    ingest.behave = lambda _: problem(503, Retry_After="600")
    bound = 64 * 1024
    trailkeeper.configure(url=ingest.url, journal=folder, journal_max_bytes=bound, ship_interval=0.01)
    other = audit.bind(organization_id="org_2")
    for n in range(500):
        (audit if n % 5 else other).info("api_key.create", resource_id=n)

    def size() -> int:
        total = 0
        for path in folder.glob("segment-*.ndjson"):
            with contextlib.suppress(FileNotFoundError):  # dropped since it was listed
                total += path.stat().st_size
        return total

    assert size() > bound
    until(lambda: size() <= bound)
    ingest.behave = lambda _: None
    until(
        lambda: any(e["action"] == "audit_trail.events_dropped" for e in ingest.events.values()) or trailkeeper.flush(1)
    )
    assert trailkeeper.flush(10)

    reports = [e for e in ingest.events.values() if e["action"] == "audit_trail.events_dropped"]
    arrived = [int(e["resource"]["id"]) for e in ingest.events.values() if e["action"] == "api_key.create"]
    for organization in ("org_1", "org_2"):
        lost = sum(e["details"]["count"] for e in reports if e["organization_id"] == organization)
        kept = sum(1 for n in arrived if (n % 5 == 0) == (organization == "org_2"))
        assert lost + kept == (100 if organization == "org_2" else 400)
        assert lost > 0
    assert arrived == list(range(500))[-len(arrived) :]
    assert reports[0]["resource"] == {"type": "audit_trail"}
    assert reports[0]["details"].keys() == {"count", "since", "reason"}


def test_what_a_full_disk_refuses_is_counted_and_reported_when_there_is_room_again(
    audit: Audit, folder: Path, ingest: Ingest
) -> None:
    """RLIMIT_FSIZE stands for the disk: a write past it comes up short, then fails, as on a full one."""
    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ingest.behave = lambda _: problem(503)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        for n in range(20):
            audit.info("api_key.create", resource_id=n)
        kept = len(journaled(folder))
        (path,) = folder.glob("segment-*.ndjson")
        assert path.read_bytes().endswith(b"}\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    ingest.behave = lambda _: None

    def reports() -> list[dict[str, Any]]:
        return [e for e in ingest.events.values() if e["action"] == "audit_trail.events_dropped"]

    until(reports)
    assert 0 < kept < 20
    assert sum(e["details"]["count"] for e in reports()) == 20 - kept
    assert "the journal could not be written" in reports()[0]["details"]["reason"]
    assert len(ingest.events) - len(reports()) == kept


def test_a_folder_that_cannot_be_made_raises_nothing(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    trailkeeper.configure(journal=tmp_path / "file" / "journal")

    audit.info("api_key.create")
    audit.info("not an action")


def test_a_call_that_makes_no_event_is_kept_aside_and_warned_of_once_a_place(
    audit: Audit, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trailkeeper.configure(journal=folder)

    for _ in range(3):
        audit.info("Create API key", resource_id="key_1")
    trailkeeper.get_logger().info("api_key.create", actor={"id": "u_1"})

    assert [record.getMessage().count(Path(__file__).name) for record in caplog.records] == [1, 1]
    assert "api_key.create" in caplog.records[0].getMessage()
    kept = rejected(folder)
    assert [entry["problem"]["field"] for entry in kept] == ["action"] * 3 + ["organization_id"]
    assert kept[0]["event"]["resource_id"] == "key_1"
    assert journaled(folder) == []


def test_a_segment_of_a_process_that_is_gone_is_shipped_but_for_its_torn_end(
    audit: Audit, folder: Path, ingest: Ingest, caplog: pytest.LogCaptureFixture
) -> None:
    trailkeeper.configure(journal=folder)
    for n in range(5):
        audit.info("api_key.create", resource_id=n)
    (left,) = folder.glob("segment-*.ndjson")
    lines = left.read_bytes().splitlines(keepends=True)
    trailkeeper.close()
    left.write_bytes(b"".join([*lines[:2], b"\0" * 50 + b"\n", b"\n", *lines[2:4], lines[4][:-20]]))

    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.delete")
    until(lambda: len(ingest.events) == 6)

    by_action = [event["action"] for event in ingest.events.values()]
    assert by_action.count("api_key.create") == 4
    (report,) = [e for e in ingest.events.values() if e["action"] == "audit_trail.events_dropped"]
    assert (report["organization_id"], report["details"]["count"]) == ("org_1", 1)
    assert "torn" in report["details"]["reason"]
    until(lambda: not left.exists())


def test_shipping_goes_on_where_the_last_process_stopped(audit: Audit, folder: Path, ingest: Ingest) -> None:
    trailkeeper.configure(journal=folder)
    for n in range(5):
        audit.info("api_key.create", resource_id=n)
    (left,) = folder.glob("segment-*.ndjson")
    trailkeeper.close()
    segment = Segment.adopt(left)
    assert segment is not None
    segment.advance(len(b"".join(left.read_bytes().splitlines(keepends=True)[:3])))
    segment.release()

    trailkeeper.configure(url=ingest.url, journal=folder, ship_interval=0.01)
    audit.info("api_key.delete")
    until(lambda: len(ingest.events) == 3)

    assert sorted(event["resource"].get("id", "") for event in ingest.events.values()) == ["", "3", "4"]
    until(lambda: list(folder.glob("*.offset")) in ([], [next(folder.glob("segment-*.ndjson")).with_suffix(".offset")]))


def test_a_segment_that_somebody_writes_is_nobody_elses(audit: Audit, folder: Path) -> None:
    trailkeeper.configure(journal=folder)
    audit.info("api_key.create")
    (path,) = folder.glob("segment-*.ndjson")

    assert Segment.adopt(path) is None


def test_with_fsync_every_event_is_synced(audit: Audit, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    trailkeeper.configure(journal=folder, journal_fsync=True)

    audit.info("api_key.create")
    audit.info("api_key.create")

    assert len(synced) == 2


def test_threads_share_a_journal(audit: Audit, folder: Path, ingest: Ingest) -> None:
    trailkeeper.configure(url=ingest.url, journal=folder, journal_segment_bytes=20_000, ship_interval=0.01)

    def work(name: int) -> None:
        for n in range(300):
            audit.info("api_key.create", resource_id=f"{name}-{n}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert trailkeeper.flush(10)
    assert len(ingest.events) == 2400
    for name in range(8):
        own = [e["resource"]["id"] for e in ingest.events.values() if e["resource"]["id"].startswith(f"{name}-")]
        assert own == [f"{name}-{n}" for n in range(300)]


def test_tasks_each_with_its_own_context(folder: Path, ingest: Ingest) -> None:
    trailkeeper.configure(url=ingest.url, journal=folder)
    from structlog.contextvars import bind_contextvars

    async def request(n: int) -> None:
        bind_contextvars(organization_id=f"org_{n}", actor={"id": "u_1"}, request_id=str(n))
        await asyncio.sleep(0)
        trailkeeper.get_logger().info("api_key.create")
        await trailkeeper.get_logger().ainfo("api_key.delete")

    async def main() -> None:
        await asyncio.gather(*(request(n) for n in range(20)))

    asyncio.run(main())

    assert trailkeeper.flush(10)
    assert len(ingest.events) == 40
    assert all(e["organization_id"] == f"org_{e['context']['request_id']}" for e in ingest.events.values())


def test_a_signal_handler_may_emit(audit: Audit, folder: Path) -> None:
    """A handler runs between two instructions of the main thread, so also while that one holds the journal."""
    trailkeeper.configure(journal=folder, journal_segment_bytes=5000)
    handled = 0

    def handle(*_: Any) -> None:
        nonlocal handled
        audit.info("api_key.delete")
        handled += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0003)  # not before this one is done: they must not pile up

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    try:
        emitted = 0
        while handled < 300:
            audit.info("api_key.create")
            emitted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert len(journaled(folder)) == emitted + handled


def test_without_an_address_events_stay_in_the_default_journal_and_one_warning_says_so(
    audit: Audit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit.info("api_key.create")
    audit.info("api_key.create")

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "TRAILKEEPER_URL" in caplog.text
    assert len(journaled(tmp_path / "state" / "trailkeeper" / "default")) == 2


def test_the_rejected_file_is_bounded_and_what_it_cannot_take_is_counted(
    audit: Audit, folder: Path, ingest: Ingest
) -> None:
    ingest.reject = lambda event: {"detail": "No."} if event["action"] == "api_key.create" else None
    trailkeeper.configure(url=ingest.url, journal=folder, journal_max_bytes=40_000, ship_interval=0.01)

    for _ in range(60):
        audit.info("api_key.create")
    until(lambda: ingest.events)
    trailkeeper.flush(5)

    kept = len(rejected(folder))
    assert (folder / "rejected.ndjson").stat().st_size <= 10_000
    assert sum(json.loads(json.dumps(e))["details"]["count"] for e in ingest.events.values()) == 60 - kept
