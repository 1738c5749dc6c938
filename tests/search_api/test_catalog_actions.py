"""Each of the 22 actions is found by its action, its resource type, its user and its date."""

from datetime import timedelta

import pytest

from audit.catalog import load_catalog
from audit.instants import format_instant, parse_instant
from tests.search_api.trail import NOW, Trail, ids, newest_first

ACTIONS = [action for action in load_catalog() if not action.of_the_trail]


@pytest.fixture
def filled(trail: Trail) -> Trail:
    """One event for each action: by a user of its own, on a day of its own."""
    trail.events = {  # type: ignore[attr-defined]
        event["action"]: event
        for event in trail.add(
            *(
                {
                    "action": action.name,
                    "resource": {"type": action.resource_type, "id": f"r_{number}"},
                    "actor": {
                        "type": "user",
                        "id": f"u_{number}",
                        "name": f"Ada {number}",
                        "email": f"ada{number}@example.com",
                    },
                    "occurred_at": format_instant(NOW - timedelta(days=number)),
                }
                for number, action in enumerate(ACTIONS, 1)
            )
        )
    }
    return trail


def test_there_are_22():
    assert len(ACTIONS) == 22


def test_every_action_is_found_by_each_way_there_is(filled: Trail):
    client = filled.client()
    events = filled.events  # type: ignore[attr-defined]
    for action in ACTIONS:
        event = events[action.name]
        actor, day = event["actor"], parse_instant(event["occurred_at"])
        ways = [
            {"action": action.name},
            {"resource_id": event["resource"]["id"]},
            {"actor": actor["id"]},
            {"actor": actor["email"]},
            {"actor": actor["name"]},
            {"from": event["occurred_at"], "to": format_instant(day + timedelta(milliseconds=1))},
        ]
        for way in ways:
            assert [event["id"]] == ids(client.get(filled.path, params=way).json()["items"]), way


def test_every_resource_type_finds_its_actions(filled: Trail):
    events = filled.events.values()  # type: ignore[attr-defined]
    for resource_type in {action.resource_type for action in ACTIONS}:
        expected = newest_first(event for event in events if event["resource"]["type"] == resource_type)

        found = filled.client().get(filled.path, params={"resource_type": resource_type}).json()["items"]

        assert ids(expected) == ids(found)


def test_the_filters_list_all_of_them_with_their_descriptions(filled: Trail):
    listed = filled.client().get(f"{filled.path}/filters").json()

    expected = [{"value": action.name, "description": action.description, "count": 1} for action in ACTIONS]
    assert sorted(expected, key=lambda row: row["value"]) == listed["actions"]
    assert {"value": "iam_rule", "count": 3} in listed["resource_types"]
    assert len(listed["actors"]) == 22
