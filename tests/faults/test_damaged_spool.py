"""A spool cut short, or with flipped bytes: it starts, says what it found, and loses nothing intact."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import orjson
import pytest

from audit.wire import unstamp
from tests.faults import proxy as faults
from tests.faults.ledger import stored
from tests.faults.load import Book, digest, post
from tests.faults.proxy import Proxy
from tests.faults.service import Deployment, Ingest, until

BATCHES, SIZE = 30, 40


@pytest.fixture
def proxy(deployment: Deployment) -> Iterator[Proxy]:
    with Proxy(deployment.node) as proxy:
        yield proxy


def waiting(deployment: Deployment, proxy: Proxy) -> tuple[Ingest, Book]:
    """An instance with 1,200 acknowledged events in its spool and none in the engine, killed."""
    proxy.fault = faults.bulk(faults.status(503))
    ingest = deployment.ingest(store_url=proxy.url, TRAILKEEPER_RELAY_BYTES="65536").start()
    book, dice = Book(), random.Random(5)
    for _ in range(BATCHES):
        status, answer = post(ingest.port, deployment.key, book.batch(deployment.organizations, SIZE, dice).lines)
        assert status == 202
        book.note(answer)
    ingest.kill()
    return ingest, book


def into_the_file(ingest: Ingest) -> None:
    """Have everything in the file itself, and nothing in the write-ahead log."""
    db = apsw.Connection(str(ingest.spool))
    assert db.execute("SELECT count(*) FROM batch").get == BATCHES
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    db.close()


def flip(file: Path, at: int, length: int = 1) -> None:
    content = bytearray(file.read_bytes())
    for place in range(at, at + length):
        content[place] ^= 0xFF
    file.write_bytes(content)


def wal_of(ingest: Ingest) -> Path:
    return ingest.spool.with_name(ingest.spool.name + "-wal")


def an_event(ingest: Ingest) -> None:
    """One byte amid one event's text: structure and neighbours are whole."""
    into_the_file(ingest)
    flip(ingest.spool, ingest.spool.read_bytes().index(b'"organization_id":"', 100_000) + 24)


def a_head(ingest: Ingest) -> None:
    """One byte of what says where an event belongs."""
    into_the_file(ingest)
    db = apsw.Connection(str(ingest.spool))
    head = db.execute("SELECT substr(heads, 1, 40) FROM batch WHERE first = 400").get
    db.close()
    content = ingest.spool.read_bytes()
    for found in re.finditer(re.escape(head), content):  # a split page leaves a copy behind
        flip(ingest.spool, found.start() + 10)


def the_header(ingest: Ingest) -> None:
    """The first hundred bytes: no SQLite opens that, and they say nothing of the application any more."""
    into_the_file(ingest)
    flip(ingest.spool, 0, 100)


def the_schema(ingest: Ingest) -> None:
    into_the_file(ingest)
    flip(ingest.spool, 100, 12)


def a_pointer(ingest: Ingest) -> None:
    """The header of a page within the tree of batches."""
    into_the_file(ingest)
    content = ingest.spool.read_bytes()
    page = next(
        at for at in range(4096 * 3, len(content), 4096) if content[at] == 13 and b'[["01' in content[at : at + 4096]
    )
    flip(ingest.spool, page + 3, 4)


def the_end(ingest: Ingest) -> None:
    """A third of the file is gone."""
    into_the_file(ingest)
    with ingest.spool.open("rb+") as file:
        file.truncate(file.seek(0, 2) * 2 // 3)


def a_frame(ingest: Ingest) -> None:
    """One byte early in the write-ahead log: SQLite drops every commit from there on."""
    flip(wal_of(ingest), 32 + 24 + (4096 + 24) * 20 + 2000)


def the_write_ahead_logs_header(ingest: Ingest) -> None:
    """SQLite takes the whole of it for nothing."""
    flip(wal_of(ingest), 16, 4)


# How many events of the 1,200 may be gone: those whose own bytes, or whose place in the file, were damaged.
DAMAGE: dict[Callable[[Ingest], None], int] = {
    an_event: 1,
    a_head: 1,
    the_header: 0,
    the_schema: 0,
    a_pointer: 0,
    the_end: BATCHES * SIZE * 45 // 100,
    a_frame: 10,
    the_write_ahead_logs_header: 0,
}


@pytest.mark.parametrize(("damage", "most"), DAMAGE.items(), ids=[each.__name__ for each in DAMAGE])
def test_what_is_intact_in_a_damaged_spool_arrives_and_the_rest_is_told(
    deployment: Deployment, proxy: Proxy, damage: Callable[[Ingest], None], most: int
) -> None:
    ingest, book = waiting(deployment, proxy)
    damage(ingest)
    proxy.fault = None
    ingest.start()

    more, dice = Book(), random.Random(6)
    batch = more.batch(deployment.organizations, SIZE, dice)
    status, answer = post(ingest.port, deployment.key, batch.lines)
    assert status == 202
    more.note(answer)
    ingest.drain()

    organizations = [each.id for each in deployment.organizations]
    found = {one.id: one for one in stored(deployment.node, organizations)}
    assert len(found) == len(list(stored(deployment.node, organizations))), "no event is there twice"
    assert more.acknowledged <= found.keys()
    lost = book.acknowledged - found.keys()
    everything = {**book.sent, **more.sent}
    for id, one in found.items():
        assert digest(unstamp(one.body)) == everything[id].digest, "what arrives is what was sent"
        assert one.index == everything[id].index

    # It says what it found: in the log, at /readyz, and on the operators' trail, number by number.
    (said,) = ingest.logged("spool_salvaged")
    print(
        f"\n{damage.__name__}: {said['damage']}; lost {len(lost)} of {len(book.acknowledged)}, rescued {said['rescued']}"
    )
    assert len(lost) <= most
    assert said["missing_count"] == len(lost)
    ready = ingest.get("/readyz")
    assert ready.status_code == 200
    assert "damaged and salvaged" in ready.json()["checks"]["spool"]
    assert (ingest.folder / str(said["kept_as"])).exists()
    with deployment.node.http() as http:
        http.post("/audit-*/_refresh").raise_for_status()
        salvage = [{"term": {"action": "audit_trail.salvage"}}, {"term": {"resource.id": said["log"]}}]
        answer = http.post("/audit-*/_search", json={"query": {"bool": {"filter": salvage}}})
        (event,) = answer.json()["hits"]["hits"]
    assert event["_source"]["details"]["missing_count"] == len(lost)

    # The new log has another name, and numbers of its own without a gap.
    news = [orjson.loads(found[id].body)["log"] for id in batch.ids]
    assert {said["next_log"]} == {log["id"] for log in news}
    olds = {(log["id"], log["index"]) for one in found.values() if (log := orjson.loads(one.body)["log"])}
    assert len(olds) == len(found)

    # The next start finds nothing to mend.
    assert ingest.stop() == 0
    ingest.start()
    assert len(ingest.logged("spool_salvaged")) == 1


def test_damage_that_shows_up_while_it_runs_ends_the_process_and_the_next_start_salvages(
    deployment: Deployment, proxy: Proxy
) -> None:
    ingest, book = waiting(deployment, proxy)
    ingest.start()
    until(ingest.waiting, 30, "it runs")
    # What the disk gives back is not what was written: the relay reads it when the batches before are delivered.
    db = apsw.Connection(str(ingest.spool))
    db.set_busy_timeout(10_000)
    db.execute(
        "UPDATE batch SET bodies = CAST(replace(bodies, '\"api_key\"', '\"api_kay\"') AS BLOB) WHERE first = 800"
    )
    db.close()
    proxy.fault = None
    assert ingest.wait_until_dead() == 70
    ingest.start()
    ingest.drain()
    found = {one.id for one in stored(deployment.node, [each.id for each in deployment.organizations])}
    (said,) = ingest.logged("spool_salvaged")
    lost = len(book.acknowledged - found)
    assert lost == SIZE
    # What was delivered right before looks the same to the spool: the numbers say where to look, not that they are lost.
    assert said["missing_count"] >= lost


def test_another_programs_file_is_refused_and_left_as_it_is(deployment: Deployment) -> None:
    ingest = deployment.ingest()
    ingest.spool.write_bytes(b"somebody's notes\n" * 1000)
    ingest.start(wait=False)
    assert ingest.wait_until_dead() == 1
    assert "TRAILKEEPER_SPOOL_PATH" in ingest.log_text() or "spool" in ingest.log_text()
    assert ingest.spool.read_bytes() == b"somebody's notes\n" * 1000
    assert not list(ingest.folder.glob("*.corrupt-*"))
