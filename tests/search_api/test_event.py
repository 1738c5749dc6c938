"""GET …/audit-logs/{id}: one event."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from audit.ids import new_id
from audit.instants import format_instant
from tests.search_api.trail import NOW, Trail


def test_it_is_the_stored_bytes(trail: Trail):
    event, _ = trail.add({"details": {"changes": {"limit": {"old": 100, "new": 2.50}}}}, {})

    content = trail.client().get(f"{trail.path}/{event['id']}").content

    assert json.dumps(event, separators=(",", ":")).encode() == content


def test_its_id_may_be_in_capitals(trail: Trail):
    (event,) = trail.add({})

    assert trail.client().get(f"{trail.path}/{event['id'].upper()}").status_code == 200


@pytest.mark.parametrize("wrong", ["x", "1", str(uuid4()), "filter", "%00", "*", "'", "x" * 5000])
def test_another_kind_of_id_is_422(embedded: Trail, wrong: str):
    response = embedded.client().get(f"{embedded.path}/{wrong}")

    assert (response.status_code, response.json()["field"]) == (422, "id")


def test_it_takes_no_parameters(trail: Trail):
    (event,) = trail.add({})

    response = trail.client().get(f"{trail.path}/{event['id']}?action=api_key.create")

    assert (response.status_code, response.json()["field"]) == (422, "action")


def test_one_that_is_not_there_is_404(trail: Trail):
    assert trail.client().get(f"{trail.path}/{new_id()}").status_code == 404


def test_another_organizations_event_looks_like_one_that_is_not_there(trail: Trail):
    (event,) = trail.add({}, organization_id=f"{trail.organization_id}_other")

    theirs = trail.client().get(f"{trail.path}/{event['id']}")
    nobodys = trail.client().get(f"{trail.path}/{new_id()}")

    assert (404, nobodys.json()) == (theirs.status_code, theirs.json())


def test_one_past_retention_is_404(trail: Trail):
    (event,) = trail.add({"occurred_at": format_instant(NOW - timedelta(days=90, milliseconds=1))})

    assert trail.client().get(f"{trail.path}/{event['id']}").status_code == 404
