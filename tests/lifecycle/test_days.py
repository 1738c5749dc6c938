"""Day indices on a real node: each with the end of its day as creation date, once, whoever asks how often."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from audit.errors import StoreUnavailable
from lifecycle import setup_apply, setup_plan
from lifecycle.days import DayOpener
from lifecycle.ism import Ism
from lifecycle.standing import creation_dates
from store.names import day_index
from tests.lifecycle.conftest import midnight_after

TODAY = datetime.now(UTC).date()


def indices(client: OpenSearch, retention: str) -> list[str]:
    return sorted(client.indices.get(index=f"audit-{retention}-*"))


@pytest.mark.parametrize("offset", [-2000, -91, -1, 0, 1, 30])
def test_a_day_index_says_it_was_created_at_the_end_of_its_day(client: OpenSearch, retention: str, offset: int) -> None:
    day = TODAY + timedelta(days=offset)
    DayOpener(client).open(retention, day)
    name = day_index(retention, day)
    assert {name: midnight_after(day)} == creation_dates(client, name)


def test_opened_again_by_another_process_it_is_the_same_index(client: OpenSearch, retention: str) -> None:
    DayOpener(client).open(retention, TODAY)
    before = client.indices.get(index=day_index(retention, TODAY))
    DayOpener(client).open(retention, TODAY)
    assert before == client.indices.get(index=day_index(retention, TODAY))


def test_opened_at_once_from_many_threads_there_is_one_index_and_no_error(client: OpenSearch, retention: str) -> None:
    openers = [DayOpener(client) for _ in range(4)]
    ready = threading.Barrier(8)

    def open_at_once(number: int) -> None:
        ready.wait()
        openers[number % 4].open(retention, TODAY)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(open_at_once, range(8)))
    assert [day_index(retention, TODAY)] == indices(client, retention)


def test_it_is_not_asked_again_within_its_ttl_and_made_anew_after(client: OpenSearch, retention: str) -> None:
    now = 0.0
    opener = DayOpener(client, ttl=600, monotonic=lambda: now)
    opener(retention, TODAY)
    client.indices.delete(index=day_index(retention, TODAY))
    now = 599.0
    opener(retention, TODAY)
    assert indices(client, retention) == []
    now = 600.0
    opener(retention, TODAY)
    assert indices(client, retention) == [day_index(retention, TODAY)]


def test_a_day_that_was_forgotten_is_made_anew_at_once(client: OpenSearch, retention: str) -> None:
    opener = DayOpener(client)
    opener.open(retention, TODAY)
    client.indices.delete(index=day_index(retention, TODAY))
    opener.forget(retention, TODAY)
    opener.open(retention, TODAY)
    assert indices(client, retention) == [day_index(retention, TODAY)]


def test_an_index_that_somebody_made_without_its_date_is_kept_and_noted(client: OpenSearch, retention: str) -> None:
    client.indices.create(index=day_index(retention, TODAY))
    opener = DayOpener(client)
    opener.open(retention, TODAY)
    assert opener.dates_refused
    found = opener.standing()[day_index(retention, TODAY)]
    assert not found.dated
    assert not found.exact
    assert f"trailkeeper-{retention}-undated" == found.suitable


def test_an_engine_that_is_away_is_said_so() -> None:
    with (
        OpenSearch("http://127.0.0.1:9", max_retries=0, timeout=2) as nobody,
        pytest.raises(StoreUnavailable, match="could not read the creation date"),
    ):
        DayOpener(nobody).open("90d", TODAY)


def test_an_engine_that_is_away_is_not_one_without_ism() -> None:
    with OpenSearch("http://127.0.0.1:9", max_retries=0, timeout=2) as nobody, pytest.raises(StoreUnavailable):
        Ism(nobody).available()


def test_without_ism_there_is_nothing_to_set_up_and_no_error(client: OpenSearch) -> None:
    if Ism(client).available():
        pytest.skip("this node has ISM; test_with_ism.py is for it")
    assert setup_plan(client, {"90d", "forever"}) == []
    assert setup_apply(client, {"90d", "forever"}) == []


def test_without_ism_an_isms_call_is_an_error_that_says_so(client: OpenSearch) -> None:
    ism = Ism(client)
    if ism.available():
        pytest.skip("this node has ISM")
    with pytest.raises(StoreUnavailable, match="no handler found"):
        ism.policy("trailkeeper-90d")


@pytest.mark.parametrize("how", ["unknown", "private", "ignored"])
def test_where_the_engine_refuses_the_date_the_index_is_made_without_and_it_is_noted(
    client: OpenSearch, retention: str, how: str
) -> None:
    opener = DayOpener(cast("OpenSearch", cast("Any", OldEngine(client, how))))
    opener.open(retention, TODAY)
    assert opener.dates_refused
    (created,) = creation_dates(client, day_index(retention, TODAY)).values()
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=5)


class OldEngine:
    """A real node behind a client that treats the creation date as engines before 3.4 may."""

    words: ClassVar = {
        "unknown": "unknown setting [index.creation_date] please check that any required plugins are installed",
        "private": "Validation Failed: 1: private index setting [index.creation_date] can not be set explicitly;",
    }

    def __init__(self, client: OpenSearch, how: str) -> None:
        self.indices = self
        self.transport = client.transport
        self.get_settings = client.indices.get_settings
        self._create = client.indices.create
        self._how = how

    def create(self, *, index: str, body: object = None) -> object:
        if body is not None and self._how in self.words:
            reason = {"type": "illegal_argument_exception", "reason": self.words[self._how]}
            raise RequestError(400, "illegal_argument_exception", {"error": reason, "status": 400})
        return self._create(index=index)
