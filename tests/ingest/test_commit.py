"""Group commit: what queued is one commit, in order; what can't be committed is acknowledged to nobody."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from audit.errors import DiskFull, SpoolFull, SyncFailed, Unavailable
from ingest.commit import GroupCommit
from store.protocol import Appended, Candidate, Outcome
from tests.ingest.sending import candidate


class GatedLog:
    """A log that a test lets through commit by commit, and can make fail. It remembers its commits."""

    log_id = "tests"

    def __init__(self) -> None:
        self.commits: list[Sequence[Candidate]] = []
        self.error: BaseException | None = None
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def append(self, candidates: Sequence[Candidate]) -> Sequence[Appended]:
        self.entered.release()
        assert self.gate.acquire(timeout=10)
        if self.error is not None:
            raise self.error
        start = sum(map(len, self.commits))
        self.commits.append(candidates)
        return [Appended(Outcome.CREATED, start + place) for place in range(len(candidates))]

    def open(self) -> None:
        """Let all that comes through."""
        self.gate.release(1000)


@pytest.fixture
def log() -> GatedLog:
    return GatedLog()


@pytest.fixture
def fatal() -> list[BaseException]:
    return []


@pytest.fixture
def make(log: GatedLog, fatal: list[BaseException]) -> Iterator[Callable[..., GroupCommit]]:
    made: list[GroupCommit] = []

    def _make(**bounds: Any) -> GroupCommit:
        made.append(GroupCommit(log, on_fatal=fatal.append, **bounds))
        made[-1].start()
        return made[-1]

    yield _make
    log.open()
    for commit in made:
        commit.stop()


async def queued(commit: GroupCommit, log: GatedLog, *sizes: int) -> list[asyncio.Task[Sequence[Appended]]]:
    """Submit one event that holds the commit, then requests of these sizes behind it, in order."""
    tasks = [asyncio.create_task(commit.commit([candidate()]))]
    await asyncio.to_thread(log.entered.acquire)
    for size in sizes:
        tasks.append(asyncio.create_task(commit.commit([candidate(number) for number in range(size)])))
        await asyncio.sleep(0)
    return tasks


def test_what_queued_during_one_commit_is_the_next(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make()

    async def run() -> None:
        tasks = await queued(commit, log, 1, 2, 3)
        log.open()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert [len(group) for group in log.commits] == [1, 6]


def test_each_request_gets_its_own_results_in_order(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make()

    async def run() -> list[list[int | None]]:
        tasks = await queued(commit, log, 1, 2, 3)
        log.open()
        return [[result.number for result in answer] for answer in await asyncio.gather(*tasks)]

    assert asyncio.run(run()) == [[0], [1], [2, 3], [4, 5, 6]]


def test_a_group_has_at_most_so_many_events(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make(max_group=4)

    async def run() -> None:
        tasks = await queued(commit, log, 3, 1, 1, 9, 1)
        log.open()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert [len(group) for group in log.commits] == [1, 4, 1, 9, 1]


def test_past_the_bytes_that_may_wait_a_request_is_refused(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make(max_waiting=10_000)

    async def run() -> None:
        tasks = await queued(commit, log)
        with pytest.raises(SpoolFull) as refusal:
            await commit.commit([candidate(size=10_000)])
        assert refusal.value.retry_after
        log.open()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_what_was_committed_waits_no_more(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make(max_waiting=10_000)
    log.open()

    for _ in range(5):
        commit.append([candidate(size=9_000)])

    assert len(log.commits) == 5


def test_one_request_larger_than_the_bound_is_taken_alone(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make(max_waiting=10)
    log.open()

    assert len(commit.append([candidate()])) == 1


def test_a_full_disk_is_told_to_everybody_in_the_group(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make()
    log.error = DiskFull("No room.")

    async def run() -> list[object]:
        tasks = await queued(commit, log, 1, 1)
        log.open()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(run())] == [DiskFull] * 3


def test_after_a_full_disk_the_next_commit_is_tried(
    make: Callable[..., GroupCommit], log: GatedLog, fatal: list[BaseException]
) -> None:
    commit = make()
    log.open()
    log.error = DiskFull("No room.")
    with pytest.raises(DiskFull):
        commit.append([candidate()])
    log.error = None

    assert len(commit.append([candidate()])) == 1
    assert fatal == []


@pytest.mark.parametrize("error", [OSError("fsync failed"), SyncFailed("The embedded store's disk could not sync.")])
def test_a_failed_sync_is_fatal_and_acknowledges_nothing(
    make: Callable[..., GroupCommit], log: GatedLog, fatal: list[BaseException], error: Exception
) -> None:
    commit = make()
    log.error = error

    async def run() -> list[object]:
        tasks = await queued(commit, log, 1)
        log.open()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(run())] == [Unavailable, Unavailable]
    assert fatal == [log.error]


def test_after_a_failed_sync_nothing_is_committed_any_more(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make()
    log.open()
    log.error = OSError("fsync failed")
    with pytest.raises(Unavailable):
        commit.append([candidate()])
    log.error = None

    with pytest.raises(Unavailable):
        commit.append([candidate()])
    assert log.commits == []


def test_a_request_that_goes_away_is_committed_all_the_same(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make()

    async def run() -> None:
        first, gone, last = await queued(commit, log, 1, 1)
        gone.cancel()
        log.open()
        await asyncio.gather(first, last)
        assert gone.cancelled()

    asyncio.run(run())
    assert sum(map(len, log.commits)) == 3


def test_a_loop_that_closed_harms_nobody_else(make: Callable[..., GroupCommit], log: GatedLog) -> None:
    commit = make()

    async def run() -> None:
        for task in await queued(commit, log):
            task.cancel()

    asyncio.run(run())
    log.open()

    assert len(commit.append([candidate()])) == 1


def test_stopping_commits_what_was_submitted(log: GatedLog) -> None:
    commit = GroupCommit(log, on_fatal=lambda error: None)
    commit.start()
    log.open()

    async def run() -> Sequence[Appended]:
        task = asyncio.create_task(commit.commit([candidate()]))
        await asyncio.sleep(0)
        commit.stop()
        return await task

    assert len(asyncio.run(run())) == 1


def test_after_stopping_submissions_are_refused(log: GatedLog) -> None:
    commit = GroupCommit(log, on_fatal=lambda error: None)
    commit.start()
    commit.stop()

    with pytest.raises(Unavailable):
        commit.append([candidate()])
