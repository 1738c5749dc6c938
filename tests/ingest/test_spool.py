"""The spool: numbered without a gap, whole after any end, bounded, and recognising what it has."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from audit.errors import ConfigurationError, DiskFull, SpoolFull
from ingest.deadletters import DeadLetters
from ingest.spool import Spool
from store.protocol import Outcome
from tests.ingest.sending import candidate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool(path)
    yield spool
    spool.close()


def numbers(spool: Spool) -> list[int]:
    """The log index of every event that waits, as it is stamped on it."""
    return [
        json.loads(document.body)["log"]["index"] for batch in spool.read(-1, 1 << 40) for document in batch.documents
    ]


class TestNumbering:
    def test_numbers_begin_at_0_and_have_no_gap(self, spool: Spool) -> None:
        results = [result for size in (3, 1, 4) for result in spool.append([candidate(n) for n in range(size)])]

        assert [result.number for result in results] == list(range(8)) == numbers(spool)

    def test_a_duplicate_takes_no_number(self, spool: Spool) -> None:
        once = candidate()
        spool.append([once])

        results = spool.append([candidate(), once, candidate()])

        assert [(result.outcome, result.number) for result in results] == [
            (Outcome.CREATED, 1),
            (Outcome.DUPLICATE, 0),
            (Outcome.CREATED, 2),
        ]

    def test_they_go_on_after_a_restart(self, path: Path) -> None:
        for start in (0, 2, 4):
            spool = Spool(path)
            assert [result.number for result in spool.append([candidate(), candidate()])] == [start, start + 1]
            spool.close()

    def test_they_go_on_when_everything_was_settled_before_the_restart(self, path: Path) -> None:
        spool = Spool(path)
        spool.append([candidate(), candidate()])
        spool.settle(spool.read(-1, 1 << 20))
        spool.close()

        spool = Spool(path)
        assert [result.number for result in spool.append([candidate()])] == [2]
        spool.close()

    def test_they_have_no_gap_over_threads(self, spool: Spool) -> None:
        def work() -> None:
            for _ in range(20):
                spool.append([candidate(), candidate()])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert numbers(spool) == list(range(160))

    def test_the_logs_name_is_kept(self, path: Path) -> None:
        spool = Spool(path)
        name = spool.log_id
        spool.close()

        again = Spool(path)
        assert again.log_id == name
        again.close()

    def test_the_logs_name_can_be_given_once(self, path: Path) -> None:
        Spool(path, log_id="ingest-1").close()

        with pytest.raises(ConfigurationError, match="ingest-2") as refusal:
            Spool(path, log_id="ingest-2")
        assert refusal.value.field == "TRAILKEEPER_LOG_ID"


class TestRecognising:
    def test_the_same_id_with_other_content_is_a_conflict(self, spool: Spool) -> None:
        first = candidate(1)
        spool.append([first])

        (result,) = spool.append([candidate(2, id=first.id)])

        assert result.outcome is Outcome.CONFLICT

    def test_twice_in_one_call_counts_as_one_after_the_other(self, spool: Spool) -> None:
        once = candidate(1)

        results = spool.append([once, once, candidate(2, id=once.id)])

        assert [result.outcome for result in results] == [Outcome.CREATED, Outcome.DUPLICATE, Outcome.CONFLICT]
        assert spool.depth == 1

    def test_what_is_settled_is_recognised_within_the_window(self, spool: Spool) -> None:
        once = candidate()
        spool.append([once])
        spool.settle(spool.read(-1, 1 << 20))

        assert spool.append([once])[0].outcome is Outcome.DUPLICATE

    def test_beyond_the_window_it_is_forgotten(self, path: Path) -> None:
        spool = Spool(path, dedupe_window=5)
        once = candidate()
        spool.append([once])
        spool.append([candidate() for _ in range(5)])
        spool.settle(spool.read(-1, 1 << 20))

        assert spool.append([once])[0].outcome is Outcome.CREATED
        spool.close()

    def test_the_window_survives_a_restart(self, path: Path) -> None:
        once = candidate()
        spool = Spool(path)
        spool.append([once])
        spool.settle(spool.read(-1, 1 << 20))
        spool.close()

        spool = Spool(path)
        assert spool.append([once])[0].outcome is Outcome.DUPLICATE
        spool.close()


class TestReadingAndSettling:
    def test_documents_come_as_they_were_committed(self, spool: Spool) -> None:
        sent = candidate(7)
        spool.append([sent])

        ((_, (document,), _),) = spool.read(-1, 1 << 20)

        assert (document.id, document.organization_id, document.occurred_at, document.retention) == sent[:4]
        assert document.body.startswith(sent.normal[:-1])

    def test_reading_stops_at_about_so_many_bytes(self, spool: Spool) -> None:
        for _ in range(4):
            spool.append([candidate(size=1000)])

        assert [batch.first for batch in spool.read(-1, 3_000)] == [0, 1]

    def test_one_batch_is_given_however_large_it_is(self, spool: Spool) -> None:
        spool.append([candidate(size=1000)])

        assert len(spool.read(-1, 1)) == 1

    def test_reading_goes_on_behind_a_number(self, spool: Spool) -> None:
        for _ in range(3):
            spool.append([candidate(), candidate()])

        assert [batch.first for batch in spool.read(1, 1 << 20)] == [2, 4]

    def test_what_is_settled_is_gone_and_the_rest_is_held(self, spool: Spool) -> None:
        for _ in range(3):
            spool.append([candidate(), candidate()])
        spool.settle([spool.read(-1, 1 << 20)[1]])

        assert [batch.first for batch in spool.read(-1, 1 << 20)] == [0, 4]
        assert [spool.holds(number) for number in range(7)] == [True, True, False, False, True, True, False]

    def test_depth_and_bytes_count_what_waits(self, path: Path) -> None:
        spool = Spool(path)
        spool.append([candidate(), candidate()])
        spool.append([candidate()])
        spool.settle(spool.read(-1, 1)[:1])
        counted = (spool.depth, spool.bytes)
        spool.close()

        again = Spool(path)
        assert (again.depth, again.bytes) == counted
        assert again.depth == 1
        again.close()

    def test_dead_letters_lie_beside_what_waits(self, spool: Spool, path: Path) -> None:
        spool.append([candidate(), candidate()])
        batches = spool.read(-1, 1 << 20)
        spool.settle(batches, [(batches[0].documents[1], "mapper_parsing_exception")])

        with DeadLetters.open(path) as dead:
            (letter,) = dead.all()
        assert (letter.document, letter.error) == (batches[0].documents[1], "mapper_parsing_exception")
        assert spool.depth == 0

    def test_of_two_dead_letters_with_one_id_the_first_stands(self, spool: Spool, path: Path) -> None:
        first = candidate(1)
        spool.append([first])
        batches = spool.read(-1, 1 << 20)
        document = batches[0].documents[0]
        spool.settle(batches, [(document, "once"), (document._replace(body=b"{}"), "twice")])

        with DeadLetters.open(path) as dead:
            (letter,) = dead.all()
        assert (letter.document.body, letter.error) == (document.body, "twice")


class TestBounds:
    def test_past_the_high_water_mark_it_is_full(self, path: Path) -> None:
        spool = Spool(path, high_water=1000)
        spool.append([candidate(size=1000)])

        with pytest.raises(SpoolFull) as refusal:
            spool.append([candidate()])
        assert refusal.value.retry_after
        spool.close()

    def test_it_takes_more_once_the_engine_took_some(self, path: Path) -> None:
        spool = Spool(path, high_water=1000)
        spool.append([candidate(size=1000)])
        spool.settle(spool.read(-1, 1 << 20))

        assert len(spool.append([candidate()])) == 1
        spool.close()

    def test_a_full_disk_commits_nothing_and_leaves_it_usable(self, path: Path) -> None:
        spool = Spool(path)
        spool.append([candidate()])
        pages = spool._db.pragma("page_count")
        spool._db.pragma("max_page_count", pages + 2)

        with pytest.raises(DiskFull):
            spool.append([candidate(size=30_000)])

        spool._db.pragma("max_page_count", 1 << 30)
        assert [result.number for result in spool.append([candidate()])] == [1]
        assert numbers(spool) == [0, 1]
        spool.close()

    def test_past_the_process_file_size_limit_it_is_disk_full_and_usable_afterwards(self, path: Path) -> None:
        program = f"""
            import resource, sys
            from pathlib import Path
            from audit.errors import DiskFull
            from ingest.spool import Spool
            from tests.ingest.sending import candidate
            spool = Spool(Path({str(path)!r}))
            spool.append([candidate()])
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
            full = 0
            for _ in range(100):
                try:
                    spool.append([candidate(size=20_000)])
                except DiskFull:
                    full += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            after = spool.append([candidate()])[0].number
            print(full > 0, after == spool.depth - 1, len(spool.read(-1, 1 << 30)) == spool.depth)
        """
        assert run(program).stdout.split() == ["True", "True", "True"]

    def test_the_write_ahead_log_is_copied_before_it_grows_without_bound(self, spool: Spool, path: Path) -> None:
        for _ in range(40):
            spool.append([candidate(size=500_000)])
            spool.settle(spool.read(-1, 1 << 30))

        assert path.with_name("spool.sqlite-wal").stat().st_size < 12 << 20


class TestOpening:
    def test_a_second_process_is_told_so(self, spool: Spool, path: Path) -> None:
        program = f"""
            from pathlib import Path
            from audit.errors import ConfigurationError
            from ingest.spool import Spool
            try:
                Spool(Path({str(path)!r}))
            except ConfigurationError as error:
                print(error.field, error)
        """
        said = run(program).stdout
        assert said.startswith("TRAILKEEPER_SPOOL_PATH")
        assert "in use by another process" in said

    def test_a_failed_opening_leaves_it_free(self, path: Path) -> None:
        Spool(path, log_id="ingest-1").close()
        with pytest.raises(ConfigurationError):
            Spool(path, log_id="ingest-2")

        Spool(path, log_id="ingest-1").close()

    @pytest.mark.parametrize("content", [b"hello " * 1000, b"\0" * 5000], ids=["text", "zeros"])
    def test_a_file_that_is_no_database_is_refused(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)

        with pytest.raises(ConfigurationError) as refusal:
            Spool(path)
        assert refusal.value.field == "TRAILKEEPER_SPOOL_PATH"
        assert path.read_bytes() == content

    def test_another_programs_database_is_refused_and_left_as_it_is(self, path: Path) -> None:
        with apsw.Connection(str(path)) as theirs:
            theirs.execute("CREATE TABLE bookmarks (url TEXT)")
        theirs.close()
        before = path.read_bytes()

        with pytest.raises(ConfigurationError, match="no spool"):
            Spool(path)
        assert path.read_bytes() == before

    def test_a_newer_versions_spool_is_refused(self, path: Path) -> None:
        Spool(path).close()
        newer = apsw.Connection(str(path))
        newer.pragma("user_version", newer.pragma("user_version") + 1)
        newer.close()

        with pytest.raises(ConfigurationError, match="newer"):
            Spool(path)

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="nowhere") as refusal:
            Spool(tmp_path / "nowhere" / "spool.sqlite")
        assert refusal.value.fix

    def test_dead_letters_of_what_is_no_spool_are_refused(self, path: Path) -> None:
        with apsw.Connection(str(path)) as theirs:
            theirs.execute("CREATE TABLE bookmarks (url TEXT)")
        theirs.close()

        with pytest.raises(ConfigurationError, match="no spool"), DeadLetters.open(path):
            pass

    def test_a_process_beside_it_may_work_on_the_dead_letters(self, spool: Spool, path: Path) -> None:
        spool.append([candidate()])
        batches = spool.read(-1, 1 << 20)
        spool.settle(batches, [(batches[0].documents[0], "refused")])

        with DeadLetters.open(path) as dead:
            dead.discard(dead.all())

        assert spool.append([candidate()])[0].number == 1
        assert spool.dead_count() == 0


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    """Ten kills in a row of a process that appends from two threads and says which ids are safe."""
    program = f"""
        import sys, threading
        from pathlib import Path
        from ingest.spool import Spool
        from tests.ingest.sending import candidate
        spool = Spool(Path({str(path)!r}), log_id="ingest-1")
        def work():
            while True:
                some = [candidate() for _ in range(3)]
                spool.append(some)
                sys.stdout.write("".join(each.id + "\\n" for each in some))
                sys.stdout.flush()
        for _ in range(2):
            threading.Thread(target=work).start()
    """
    acknowledged: set[str] = set()
    for kill in range(5):
        process = start(program)
        assert process.stdout is not None
        for _ in range(30 + 17 * kill):
            acknowledged.add(process.stdout.readline().strip())
        os.kill(process.pid, signal.SIGKILL)
        rest, _ = process.communicate()
        acknowledged.update(rest[: rest.rfind("\n") + 1].split())

    spool = Spool(path)
    held = [document.id for batch in spool.read(-1, 1 << 40) for document in batch.documents]
    assert acknowledged <= set(held)
    assert len(held) == len(set(held))
    assert numbers(spool) == list(range(len(held)))
    spool.close()


def start(program: str) -> "subprocess.Popen[str]":
    """Start a Python program of the tests."""
    lines = program.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    text = "\n".join(line[margin:] for line in lines)
    return subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run(program: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    process = start(program)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return subprocess.CompletedProcess(process.args, 0, out)
