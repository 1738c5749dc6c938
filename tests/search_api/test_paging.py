"""Walks through a trail, page by page: no event lost, none repeated, ties included."""

from typing import Any

import httpx
import pytest

from audit.instants import format_instant
from tests.search_api.trail import NOW, Trail, ids, newest_first, walk


def ties(count: int) -> list[dict[str, Any]]:
    """Events of only three instants."""
    return [{"occurred_at": f"2026-11-2{number % 3}T10:00:00.000Z"} for number in range(count)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 19, 20, 21])
def test_a_walk_gives_each_event_once_in_order(trail: Trail, limit: int):
    events = newest_first(trail.add(*ties(20)))

    pages = list(walk(trail.client(), trail.path, limit=limit))

    assert ids(events) == [event["id"] for page in pages for event in page["items"]]
    assert all(len(page["items"]) == limit for page in pages[:-1])


def test_a_walk_from_the_oldest_is_the_reverse(trail: Trail):
    events = newest_first(trail.add(*ties(9)))

    pages = walk(trail.client(), trail.path, limit=2, order="asc")

    assert ids(reversed(events)) == [event["id"] for page in pages for event in page["items"]]


def test_a_walk_keeps_its_filters(trail: Trail):
    trail.add(*ties(6))
    wanted = newest_first(trail.add(*({**tie, "outcome": "denied"} for tie in ties(6))))

    pages = walk(trail.client(), trail.path, limit=4, outcome="denied")

    assert ids(wanted) == [event["id"] for page in pages for event in page["items"]]


def test_the_link_header_walks_too(trail: Trail):
    events = newest_first(trail.add(*ties(7)))
    client = trail.client()
    url, seen = httpx.URL(f"http://trail.test{trail.path}?limit=3&actor=Ada&actor=b%26c"), []
    while True:
        response = client.get(url)
        seen += ids(response.json()["items"])
        if "next" not in response.links:
            break
        url = url.join(response.links["next"]["url"])
        assert (url.params.get_list("actor"), url.params["limit"]) == (["Ada", "b&c"], "3")

    assert ids(events) == seen
    assert response.json()["next_cursor"] is None


def test_a_page_that_is_just_full_is_the_last(trail: Trail):
    trail.add({}, {})

    response = trail.client().get(trail.path, params={"limit": 2})

    assert response.json()["next_cursor"] is None
    assert "link" not in response.headers


def test_the_page_size_may_change_between_pages(trail: Trail):
    events = newest_first(trail.add(*ties(5)))
    client = trail.client()

    first = client.get(trail.path, params={"limit": 2}).json()
    rest = client.get(trail.path, params={"limit": 50, "cursor": first["next_cursor"]}).json()

    assert ids(events) == ids(first["items"] + rest["items"])


def test_events_that_arrive_during_a_walk_repeat_nothing(trail: Trail):
    events = newest_first(trail.add(*ties(6)))
    pages = walk(trail.client(), trail.path, limit=2)

    seen = ids(next(pages)["items"])
    trail.add({"occurred_at": format_instant(NOW)})
    seen += [event["id"] for page in pages for event in page["items"]]

    assert ids(events) == seen


def test_a_page_without_limit_has_fifty(trail: Trail):
    trail.add(*[{}] * 51)

    assert len(trail.client().get(trail.path).json()["items"]) == 50
