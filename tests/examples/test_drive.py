"""The drive: everybody at work, the same story each time, and its two questions answered by what was emitted."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

import trailkeeper
from audit.event import Event
from examples.gateway.drive import calendar, drive, flushed, open_office
from tests.examples.serving import served
from trailkeeper import Action

Json = dict[str, Any]


def driven(*, demo: bool = False, **settings: int) -> tuple[Counter[tuple[str, str]], list[Json]]:
    """Drive a fresh gateway; return what should have been emitted, and what was."""
    with trailkeeper.capture_audit() as events, served(demo=demo) as url:
        office, routine = open_office(url, **settings)
        with office.client:
            drive(office, routine)
    return office.emitted, events


@pytest.fixture(scope="module")
def day() -> tuple[Counter[tuple[str, str]], list[Json]]:
    """One drive that nobody changes."""
    return driven(seed=7)


def test_every_request_is_one_event_that_ingest_takes(
    day: tuple[Counter[tuple[str, str]], list[Json]], taken: Callable[[Json], Event]
) -> None:
    emitted, events = day

    assert Counter((event["action"], event.get("outcome", "success")) for event in events) == emitted
    assert 150 <= len([taken(event) for event in events]) <= 300


def test_all_actions_succeed_once_at_least_and_some_are_denied_or_fail(
    day: tuple[Counter[tuple[str, str]], list[Json]],
) -> None:
    emitted, _ = day

    assert {action for action, outcome in emitted if outcome == "success"} == set(Action)
    assert {outcome for _, outcome in emitted} == {"success", "denied", "failure"}


def test_the_trail_knows_who_disabled_the_key(day: tuple[Counter[tuple[str, str]], list[Json]]) -> None:
    _, events = day
    (found,) = [
        event
        for event in events
        if event["action"] == "api_key.update_status"
        and event["resource"]["name"] == "production-web"
        and event["outcome"] == "success"
        and event["details"]["changes"]["status"]["new"] == "inactive"
    ]

    assert found["actor"]["name"] == "Dana Ivers"


def test_the_trail_knows_who_removed_the_member_and_what_she_was(
    day: tuple[Counter[tuple[str, str]], list[Json]],
) -> None:
    _, events = day
    about = [
        (event["action"], event["actor"]["name"], event["details"]["changes"]["role"])
        for event in events
        if event["resource"].get("name") == "Dana Ivers" and event["outcome"] == "success"
    ]

    assert about == [
        ("team_member.add", "Bruno Keller", {"old": None, "new": "developer"}),
        ("team_member.update", "Ada Okafor", {"old": "developer", "new": "admin"}),
        ("team_member.remove", "Ada Okafor", {"old": "admin", "new": None}),
    ]


def test_the_same_seed_tells_the_same_story(day: tuple[Counter[tuple[str, str]], list[Json]]) -> None:
    def told(events: list[Json]) -> list[tuple[Any, ...]]:
        return [(event["action"], event["actor"], event["resource"].get("name"), event["outcome"]) for event in events]

    _, again = driven(seed=7)
    _, other = driven(seed=8)

    assert told(again) == told(day[1])
    assert told(other) != told(day[1])


def test_with_days_events_lie_over_the_past_in_their_order() -> None:
    before = datetime.now(UTC)

    _, events = driven(demo=True, days=14)

    instants = [datetime.fromisoformat(event["occurred_at"]) for event in events]
    assert instants == sorted(instants)
    assert before - timedelta(days=14, minutes=3) <= instants[0] <= before - timedelta(days=10)
    assert len({instant.date() for instant in instants}) >= 8


def test_a_gateway_without_the_demo_clock_does_not_believe_a_request() -> None:
    before = datetime.now(UTC)

    _, events = driven(days=14)

    assert min(datetime.fromisoformat(event["occurred_at"]) for event in events) > before - timedelta(seconds=1)


def test_the_calendar_keeps_to_its_days_and_hours() -> None:
    until = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

    instants = calendar(Random(1), 30, 500, until)

    assert len(instants) == 500
    assert until - timedelta(days=30) < instants[0]
    assert instants[-1] < until
    assert {instant.hour for instant in instants} <= set(range(7, 19))
    weekends = sum(instant.weekday() >= 5 for instant in instants)
    assert weekends < 50
    assert calendar(Random(1), 0, 500, until) == []


def test_flushing_says_that_everything_has_arrived(events: list[Json]) -> None:
    with served(demo=True) as url:
        assert flushed(url)
