"""Reading the trail is on the trail: first readings at once, repeats counted, and nothing shown that isn't recorded."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from audit.access import Principal
from audit.errors import DiskFull, SpoolFull, Unavailable
from audit.event import ActorType, Context, Event
from audit.instants import format_instant
from search_api.views import ADDRESSES, View, Views
from tests.search_api.trail import NOW, Clock, Trail, token


def view(digest: bytes = b"q", by: str = "u_1", **context: Any) -> View:
    principal = Principal("org_1", ActorType.USER, by, "owner", "Ada", "ada@example.com")
    return View(principal, digest, {"query": {"action": ["api_key.create"]}}, Context(**context))


@pytest.fixture
def recorded() -> list[Event]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def views(recorded: list[Event], clock: Clock) -> Views:
    return Views(recorded.append, clock)


class TestOverHttp:
    def test_a_reading_is_an_event_with_everything_about_it(self, trail: Trail):
        headers = {"User-Agent": "curl/8", "X-Request-Id": "req-1"}
        url = f"{trail.path}?action=api_key.create&action=api_key.delete&from=2026-11-01T00:00:00Z&limit=5"

        trail.client().get(url, headers=headers)

        (event,) = trail.recorded
        assert (event.action, event.source, event.outcome) == ("audit_log.view", "trailkeeper", "success")
        assert event.organization_id == trail.organization_id
        assert (event.actor.type, event.actor.id, event.actor.email) == ("user", "u_owner", "owner@example.com")
        assert (event.resource.type, event.resource.id) == ("audit_log", trail.organization_id)
        assert event.details == {
            "query": {"action": ["api_key.create", "api_key.delete"], "from": "2026-11-01T00:00:00Z"},
            "count": 1,
        }
        assert event.context == Context(ip="203.0.113.7", user_agent="curl/8", request_id="req-1")

    def test_single_events_and_filters_count_too_and_each_on_its_own(self, trail: Trail):
        one, two = trail.add({}, {})
        client = trail.client()

        for path in ("", "/filters", f"/{one['id']}", f"/{two['id']}"):
            client.get(trail.path + path)

        assert [
            {"query": {}, "count": 1},
            {"filters": True, "query": {}, "count": 1},
            {"event_id": one["id"], "found": True, "count": 1},
            {"event_id": two["id"], "found": True, "count": 1},
        ] == [event.details for event in trail.recorded]

    def test_looking_for_an_event_that_is_not_there_is_a_reading(self, embedded: Trail):
        embedded.client().get(f"{embedded.path}/019ab1f0-5c00-7000-8000-000000000001")

        details = embedded.recorded[0].details
        assert details is not None
        assert details["found"] is False

    def test_the_pages_of_a_walk_are_one_reading(self, trail: Trail):
        trail.add(*[{}] * 5)
        client = trail.client()
        cursor = client.get(trail.path, params={"limit": 2}).json()["next_cursor"]

        client.get(trail.path, params={"limit": 3, "cursor": cursor})

        assert len(trail.recorded) == 1

    @pytest.mark.parametrize("failure", [DiskFull("full"), SpoolFull("full"), OSError("gone"), RuntimeError()])
    @pytest.mark.parametrize("path", ["", "/filters", "/{id}"])
    def test_what_can_not_be_recorded_is_not_shown(self, embedded: Trail, failure: Exception, path: str):
        (event,) = embedded.add({})

        def fail(_: Event) -> None:
            raise failure

        embedded.record = fail
        response = embedded.client().get(embedded.path + path.replace("{id}", event["id"]))

        assert response.status_code == 503
        assert event["id"] not in response.text
        assert "nothing is shown" in response.json()["detail"]
        assert response.headers["retry-after"] == "5"

    @pytest.mark.parametrize("query", ["record=false", "count=0", "silent=1", "preview=true"])
    def test_no_parameter_skips_it(self, embedded: Trail, query: str):
        response = embedded.client().get(f"{embedded.path}?{query}")

        assert response.status_code == 422

    def test_a_made_up_client_address_or_agent_never_stands_in_the_way(self, embedded: Trail):
        app = embedded.app()
        client = embedded.client(app=app, address="unix socket")

        client.get(embedded.path, headers=[(b"User-Agent", b"\x80\x9fa" + b"b" * 2000)])

        context = embedded.recorded[0].context
        assert context is not None
        assert (context.ip, context.user_agent) == (None, "a" + "b" * 1023)

    def test_another_role_of_the_same_person_is_the_same_reader(self, embedded: Trail):
        app = embedded.app()
        for role in ("owner", "admin"):
            bearer = token(embedded.organization_id, role, sub="u_1")
            embedded.client(bearer, app=app).get(embedded.path)

        assert len(embedded.recorded) == 1

    def test_the_application_records_what_is_open_when_it_ends(self, embedded: Trail, runner: asyncio.Runner):
        app = embedded.app()
        client = embedded.client(app=app)
        for _ in range(3):
            client.get(embedded.path)

        async def live_and_end() -> None:
            async with app.router.lifespan_context(app):
                pass

        runner.run(live_and_end())

        assert [event.details and event.details["count"] for event in embedded.recorded] == [1, 2]


class TestSummary:
    def test_repeats_become_one_event_when_the_window_ends(self, views: Views, recorded: list[Event], clock: Clock):
        views.record(view(ip="203.0.113.1"))
        clock.advance(minutes=1)
        views.record(view(ip="203.0.113.2"))
        clock.advance(minutes=1)
        views.record(view(ip="203.0.113.3", request_id="last"))
        clock.advance(minutes=3, seconds=-1)
        views.flush()
        assert len(recorded) == 1, "the window is open"

        clock.advance(seconds=1)
        views.flush()
        views.flush()

        _, summary = recorded
        assert summary.details == {
            "query": {"action": ["api_key.create"]},
            "count": 2,
            "from": format_instant(NOW + timedelta(minutes=1)),
            "to": format_instant(NOW + timedelta(minutes=2)),
            "addresses": ["203.0.113.2", "203.0.113.3"],
        }
        assert summary.occurred_at == NOW + timedelta(minutes=2)
        assert summary.context is not None
        assert summary.context.request_id == "last"

    def test_a_single_reading_has_no_summary(self, views: Views, recorded: list[Event], clock: Clock):
        views.record(view())
        clock.advance(minutes=5)
        views.flush()
        views.close()

        assert len(recorded) == 1

    def test_the_next_window_begins_with_a_reading_at_once(self, views: Views, recorded: list[Event], clock: Clock):
        views.record(view())
        views.record(view())
        clock.advance(minutes=5)
        views.record(view())

        assert sorted(event.details["count"] for event in recorded if event.details) == [1, 1, 1]
        assert len({event.id for event in recorded}) == 3

    @pytest.mark.parametrize("other", [view(b"other"), view(by="u_2")])
    def test_another_query_or_reader_is_recorded_at_once(self, views: Views, recorded: list[Event], other: View):
        views.record(view())
        views.record(other)

        assert len(recorded) == 2

    def test_addresses_are_bounded(self, views: Views, recorded: list[Event]):
        for number in range(ADDRESSES + 9):
            views.record(view(ip=f"203.0.113.{number}"))
        views.close()

        details = recorded[-1].details
        assert details is not None
        assert (details["count"], len(details["addresses"])) == (ADDRESSES + 8, ADDRESSES)

    def test_past_capacity_the_oldest_window_ends_early(self, recorded: list[Event], clock: Clock):
        views = Views(recorded.append, clock, capacity=2)
        for _ in range(2):
            views.record(view(b"1"))
        views.record(view(b"2"))
        views.record(view(b"3"))

        assert [event.details and event.details["count"] for event in recorded] == [1, 1, 1, 1]
        assert recorded[-1].details != recorded[0].details


class Failing:
    """A trail that can be committed to, or not."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.broken = False

    def __call__(self, event: Event) -> None:
        if self.broken:
            raise DiskFull("full")
        self.events.append(event)


class TestFailure:
    def test_a_first_reading_that_failed_is_a_first_one_again(self, clock: Clock):
        record = Failing()
        views = Views(record, clock)
        record.broken = True
        with pytest.raises(Unavailable):
            views.record(view())

        record.broken = False
        views.record(view())

        assert [event.details and event.details["count"] for event in record.events] == [1]

    def test_a_summary_that_failed_is_recorded_later_with_the_same_id(self, clock: Clock):
        record = Failing()
        views = Views(record, clock)
        views.record(view())
        views.record(view())
        views.record(view())
        clock.advance(minutes=5)
        record.broken = True
        views.flush()
        assert len(record.events) == 1

        record.broken = False
        views.flush()
        views.flush()

        assert [event.details and event.details["count"] for event in record.events] == [1, 2]

    def test_a_new_window_that_fails_keeps_the_count_of_the_old_one(self, clock: Clock):
        record = Failing()
        views = Views(record, clock)
        views.record(view())
        views.record(view())
        views.record(view())
        clock.advance(minutes=5)
        record.broken = True
        with pytest.raises(Unavailable):
            views.record(view())

        record.broken = False
        views.close()

        assert [event.details and event.details["count"] for event in record.events] == [1, 2]


def in_threads(count: int, work: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("fails", [False, True])
def test_at_once_only_one_is_first_and_the_others_wait_for_its_commit(clock: Clock, fails: bool):
    committing, go_on = threading.Event(), threading.Event()
    recorded: list[Event] = []
    outcomes: list[str] = []

    def record(event: Event) -> None:
        committing.set()
        assert go_on.wait(30)
        if fails:
            raise DiskFull("full")
        recorded.append(event)

    views = Views(record, clock)

    def read() -> None:
        try:
            views.record(view())
            outcomes.append("shown")
        except Unavailable:
            outcomes.append("refused")

    threads = in_threads(8, read)
    assert committing.wait(30)
    assert outcomes == [], "nobody is shown anything before the commit"
    go_on.set()
    for thread in threads:
        thread.join()
    views.close()

    assert outcomes == ["refused" if fails else "shown"] * 8
    assert sum(event.details["count"] for event in recorded if event.details) == (0 if fails else 8)
