"""GET …/audit-logs/filters: what occurs under the current filters."""

import pytest

from tests.search_api.trail import Trail

BOB = {"type": "service", "id": "bob", "name": "Bob"}


@pytest.mark.parametrize("query", ["limit=5", "order=asc", "cursor=x", "nonsense=1", "action="])
def test_what_only_pages_is_422(embedded: Trail, query: str):
    assert embedded.client().get(f"{embedded.path}/filters?{query}").status_code == 422


def test_nothing_occurs_in_an_empty_trail(trail: Trail):
    expected = {"actions": [], "resource_types": [], "actors": []}

    assert expected == trail.client().get(f"{trail.path}/filters").json()


def test_values_have_their_counts_under_the_filters(trail: Trail):
    trail.add({}, {"actor": BOB}, {"action": "custom.thing", "resource": {"type": "thing"}, "actor": BOB})

    everything = trail.client().get(f"{trail.path}/filters").json()
    bobs = trail.client().get(f"{trail.path}/filters", params={"actor": "bob", "resource_type": "thing"}).json()

    assert everything["actions"] == [
        {"value": "api_key.create", "description": "An API key was created", "count": 2},
        {"value": "custom.thing", "description": None, "count": 1},
    ]
    assert everything["resource_types"] == [{"value": "api_key", "count": 2}, {"value": "thing", "count": 1}]
    assert everything["actors"] == [
        {"type": "service", "id": "bob", "name": "Bob", "email": None, "count": 2},
        {"type": "user", "id": "u_1", "name": "Ada", "email": "ada@example.com", "count": 1},
    ]
    assert bobs["actions"] == [{"value": "custom.thing", "description": None, "count": 1}]


def test_another_organizations_values_do_not_occur(trail: Trail):
    trail.add({"actor": BOB}, organization_id=f"{trail.organization_id}_other")

    assert trail.client().get(f"{trail.path}/filters").json()["actors"] == []
