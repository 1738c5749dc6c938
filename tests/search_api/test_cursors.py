"""Cursors hold where they were made for, and nowhere else."""

import asyncio
import base64
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import InvalidCursor
from audit.ids import new_id
from audit.query import Query
from audit.settings import Settings
from search_api.cursors import Cursors, cursor_secret
from store.protocol import Position, Store
from store.sqlite import SqliteStore
from tests.search_api.trail import NOW, Trail

QUERY = Query(organization_id="org_1", actions=("a.b", "c.d"))
POSITION = Position(1_795_000_000_123, new_id())


@pytest.fixture(name="cursors")
def _cursors() -> Cursors:
    return Cursors(lambda: b"secret", hours=24)


def first_cursor(trail: Trail, **params: str) -> str:
    trail.add({}, {}, {})
    cursor: str = trail.client().get(trail.path, params={"limit": "1", **params}).json()["next_cursor"]
    return cursor


class TestOverHttp:
    @pytest.mark.parametrize(
        "other",
        [
            {"action": "api_key.create"},
            {"actor": "u_1"},
            {"outcome": "success"},
            {"from": "2026-11-01T00:00:00Z"},
            {"order": "asc"},
        ],
    )
    def test_another_query_is_400_with_the_reason_and_the_fix(self, embedded: Trail, other: dict[str, str]):
        cursor = first_cursor(embedded)

        response = embedded.client().get(embedded.path, params={"cursor": cursor, **other})

        assert (response.status_code, response.json()["type"]) == (400, "urn:trailkeeper:problem:invalid-cursor")
        assert "another query" in response.json()["detail"]
        assert "first page" in response.json()["fix"]

    def test_another_organization_is_400(self, embedded: Trail):
        cursor = first_cursor(embedded)
        other = Trail(embedded.store, embedded.runner)

        response = other.client().get(other.path, params={"cursor": cursor})

        assert (response.status_code, response.json()["detail"]) == (400, "It belongs to another organization.")

    def test_an_expired_one_is_400_and_tells_the_hours(self, embedded: Trail):
        embedded.settings = {"cursor_hours": 2}
        cursor = first_cursor(embedded)
        embedded.clock.advance(hours=2, seconds=-1)
        assert embedded.client().get(embedded.path, params={"cursor": cursor}).status_code == 200

        embedded.clock.advance(seconds=1)
        response = embedded.client().get(embedded.path, params={"cursor": cursor})

        assert (response.status_code, response.json()["limit"]) == (400, "2 hours")

    @pytest.mark.parametrize("wrong", ["x", "AAAA", "ü", "a b", "=", "A" * 7000, "null", "-1"])
    def test_nonsense_is_400(self, embedded: Trail, wrong: str):
        assert embedded.client().get(embedded.path, params={"cursor": wrong}).status_code == 400

    def test_it_holds_whatever_order_the_filters_are_written_in(self, embedded: Trail):
        embedded.add({}, {}, {"action": "api_key.delete"})
        query = "action=api_key.create&action=api_key.delete&outcome=success"
        cursor = embedded.client().get(f"{embedded.path}?{query}&limit=1").json()["next_cursor"]
        turned = "outcome=success&action=api_key.delete&action=api_key.create&action=api_key.create"

        assert embedded.client().get(f"{embedded.path}?{turned}&cursor={cursor}").status_code == 200

    def test_another_process_with_another_secret_refuses_it(self, embedded: Trail):
        cursor = first_cursor(embedded)
        embedded.settings = {"cursor_secret": "another secret"}

        assert embedded.client().get(embedded.path, params={"cursor": cursor}).status_code == 400


class TestOnItsOwn:
    def test_it_gives_the_position_back(self, cursors: Cursors):
        assert cursors.read(cursors.write(QUERY, POSITION, NOW), QUERY, NOW) == POSITION

    def test_before_1970_too(self, cursors: Cursors):
        position = Position(-1, POSITION.id)

        assert position == cursors.read(cursors.write(QUERY, position, NOW), QUERY, NOW)

    def test_what_time_brings_does_not_matter(self, cursors: Cursors):
        later = QUERY.model_copy(update={"visible_from": NOW})

        assert cursors.read(cursors.write(QUERY, POSITION, NOW), later, NOW + timedelta(hours=1)) == POSITION

    @given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
    def test_any_altered_bit_is_refused(self, place: int, bit: int):
        cursors = Cursors(lambda: b"secret", hours=24)
        cursor = cursors.write(QUERY, POSITION, NOW)
        content = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        content[place % len(content)] ^= 1 << bit
        altered = base64.urlsafe_b64encode(content).rstrip(b"=").decode()

        with pytest.raises(InvalidCursor):
            cursors.read(altered, QUERY, NOW)

    @given(st.text())
    def test_any_other_text_is_refused(self, text: str):
        with pytest.raises(InvalidCursor):
            Cursors(lambda: b"secret", hours=24).read(text, QUERY, NOW)

    @pytest.mark.parametrize("spelling", ["{}=", "{}\n", " {}", "{}A", "{}=="])
    def test_one_cursor_has_one_spelling(self, cursors: Cursors, spelling: str):
        with pytest.raises(InvalidCursor):
            cursors.read(spelling.format(cursors.write(QUERY, POSITION, NOW)), QUERY, NOW)


class TestSecret:
    def test_the_settings_come_first(self, sqlite: Store):
        assert cursor_secret(Settings(cursor_secret="mine"), sqlite.records) == b"mine"
        assert sqlite.records.get("secret", "cursor") is None

    def test_it_is_made_once_and_kept_in_the_store(self, sqlite: Store):
        assert cursor_secret(Settings(), sqlite.records) == cursor_secret(Settings(), sqlite.records)

    def test_processes_that_start_at_once_agree(self, tmp_path: Path):
        stores = [SqliteStore(tmp_path / "trail.sqlite") for _ in range(8)]
        start, found = threading.Barrier(8), []

        def ask(store: Store) -> None:
            start.wait()
            found.append(cursor_secret(Settings(), store.records))

        threads = [threading.Thread(target=ask, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for store in stores:
            store.close()

        assert len(found) == 8
        assert len(set(found)) == 1

    def test_two_services_over_one_store_take_each_others_cursors(self, sqlite: Store, runner: asyncio.Runner):
        one = Trail(sqlite, runner)
        two = Trail(sqlite, runner, organization_id=one.organization_id)

        assert two.client().get(two.path, params={"cursor": first_cursor(one)}).status_code == 200
