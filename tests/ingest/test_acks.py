"""`?ack=indexed` and `?ack=searchable`: the answer is the engine's, and every wait ends."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.errors import StoreUnavailable
from ingest.spool import Spool
from store.protocol import Outcome, Written
from tests.ingest.sending import NDJSON, Way, event, line, spooled, statuses
from tests.ingest.test_relay import REFUSED, RETRY, Faulty, until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Faulty]:
    store = Faulty(tmp_path / "behind.sqlite")
    yield store
    store.close()


@pytest.fixture
def way(tmp_path: Path, store: Faulty, runner: asyncio.Runner) -> Iterator[Way]:
    with spooled(Spool(tmp_path / "spool.sqlite"), store, runner, ack_timeout_seconds=2) as way:
        yield way


def sent(event: dict[str, object]) -> bytes:
    return json.dumps(event).encode()


@pytest.mark.parametrize("ack", ["indexed", "searchable"])
def test_when_it_is_answered_the_store_has_it(way: Way, ack: str) -> None:
    answer = way.batch(line(), line(), ack=ack)

    assert statuses(answer) == ["accepted", "accepted"]
    assert len(way.stored()) == 2


def test_without_it_the_commit_is_enough(way: Way, store: Faulty) -> None:
    store.away = [StoreUnavailable("away")] * 1000

    assert statuses(way.batch(line())) == ["accepted"]


def test_a_store_that_is_away_is_503_and_the_events_are_safe(way: Way, store: Faulty) -> None:
    store.away = [StoreUnavailable("away")] * 1000
    once = line()
    with way.client() as client:
        response = client.post("/v1/events?ack=indexed", content=once, headers={"Content-Type": NDJSON})

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "safe" in response.json()["detail"]
    assert way.pipeline.spool is not None
    assert way.pipeline.spool.depth == 1


def test_asking_again_waits_for_the_first_one(way: Way, store: Faulty) -> None:
    store.away = [StoreUnavailable("away")]
    once = line()
    way.batch(once)

    assert statuses(way.batch(once, ack="indexed")) == ["duplicate"]
    assert len(way.stored()) == 1


def test_a_duplicate_that_the_store_has_is_answered_at_once(way: Way, store: Faulty) -> None:
    once = line()
    way.batch(once, ack="indexed")
    store.away = [StoreUnavailable("away")] * 1000

    assert statuses(way.batch(once, ack="indexed")) == ["duplicate"]


def test_a_duplicate_asked_about_before_its_batch_is_settled_does_not_wait_in_vain(
    way: Way, store: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine has answered and everybody was told; only then somebody asks, while the spool still holds it."""
    spool = way.pipeline.spool
    assert spool is not None
    once, loop = line(), way.runner.get_loop()
    settle, holds = spool.settle, spool.holds
    asked: list[Future[dict[str, Any]]] = []
    looked_up = threading.Event()

    def settle_late(*arguments: Any) -> None:
        if not asked:
            asked.append(asyncio.run_coroutine_threadsafe(send(way, once, "indexed"), loop))
            assert looked_up.wait(10)
        settle(*arguments)

    def look_up(number: int) -> bool:
        held = holds(number)
        looked_up.set()
        return held

    async def run() -> dict[str, Any]:
        await send(way, once, "committed")
        while not asked:
            await asyncio.sleep(0.002)
        return await asyncio.wrap_future(asked[0])

    monkeypatch.setattr(spool, "settle", settle_late)
    monkeypatch.setattr(spool, "holds", look_up)
    assert statuses(way.runner.run(run())) == ["duplicate"]


async def send(way: Way, body: bytes, ack: str) -> dict[str, Any]:
    """Send one request on the running loop."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=way.app), base_url="http://ingest.test") as client:
        response = await client.post(
            f"/v1/events?ack={ack}",
            content=body,
            headers={"Content-Type": NDJSON, "Authorization": f"Bearer {way.key}"},
        )
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_what_the_store_refuses_is_told_as_rejected(way: Way, store: Faulty) -> None:
    bad = event()
    store.verdicts[bad["id"]] = [REFUSED]

    answer = way.batch(line(), sent(bad), ack="indexed")

    assert statuses(answer) == ["accepted", "rejected"]
    assert "mapper_parsing_exception" in answer["results"][1]["problem"]["detail"]


def test_what_the_store_refuses_is_on_the_trail(way: Way, store: Faulty) -> None:
    bad = event()
    store.verdicts[bad["id"]] = [REFUSED]

    way.batch(sent(bad), ack="indexed")

    until(
        lambda: (
            [(each["action"], each["resource"]["id"]) for each in way.reported()] == [("dead_letter.create", bad["id"])]
        )
    )
    assert way.reported()[0]["details"] == {"event_id": bad["id"], "error": "mapper_parsing_exception"}


def test_a_conflict_that_only_the_store_knows_is_409_and_on_the_trail(way: Way, store: Faulty) -> None:
    bad = event()
    store.verdicts[bad["id"]] = [Written(Outcome.CONFLICT)]

    with way.client() as client:
        response = client.post(
            "/v1/events?ack=indexed", content=sent(bad), headers={"Content-Type": "application/json"}
        )

    assert response.status_code == 409
    until(lambda: [report["resource"]["id"] for report in way.reported()] == [bad["id"]])


def test_of_an_id_with_two_contents_in_one_request_the_first_is_waited_for(way: Way, store: Faulty) -> None:
    first = event()
    store.verdicts[first["id"]] = [REFUSED, RETRY, RETRY, RETRY]

    answer = way.batch(sent(first), sent({**first, "outcome": "denied"}), ack="indexed")

    assert [result["problem"]["status"] for result in answer["results"]] == [422, 409]


def test_searchable_is_asked_of_the_store_only_by_who_waits(
    way: Way, store: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    write = store.write

    def note(documents: object, *, searchable: bool = False) -> object:
        asked.append(searchable)
        return write(documents)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write", note)
    way.batch(line(), ack="indexed")
    way.batch(line(), ack="searchable")

    assert asked == [False, True]


def test_nobody_is_remembered_after_the_answer(way: Way, store: Faulty) -> None:
    store.away = [StoreUnavailable("away")]
    way.batch(line(), ack="indexed")

    assert way.pipeline._acks._waits == {}
