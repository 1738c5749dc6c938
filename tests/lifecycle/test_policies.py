"""The policies say what their classes promise, and which index may have which."""

import json
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.retention import MAXIMUM_DAYS, Retention, end_of
from lifecycle.ism import StandingPolicy
from lifecycle.policies import policy, policy_id, suitable
from lifecycle.policies.loader import compare

retentions = st.integers(1, MAXIMUM_DAYS).map(Retention)
days = st.dates(date(1990, 1, 1), date(2100, 12, 31))


def test_the_stock_policy_is_the_file_as_it_stands() -> None:
    stock = json.loads(files("lifecycle.policies").joinpath("delete-after-90d.json").read_text("utf-8"))
    assert stock == policy(Retention(90))


@given(retentions)
def test_a_policy_has_its_class_as_min_index_age_and_only_deletes(retention: Retention) -> None:
    body = policy(retention)["policy"]
    states = {state["name"]: state for state in body["states"]}
    first = states[body["default_state"]]
    assert first["actions"] == []
    (transition,) = first["transitions"]
    assert {"min_index_age": str(retention)} == transition["conditions"]
    last = states[transition["state_name"]]
    assert last["actions"] == [{"delete": {}}]
    assert last["transitions"] == []
    assert str(retention.days) in body["description"]


def test_a_policy_has_only_fields_that_ism_takes() -> None:
    # Observed on 3.6: 400 without `policy` or a description, and for an unknown field.
    assert {"policy"} == policy(Retention(90)).keys()
    assert {"description", "default_state", "states"} == policy(Retention(90))["policy"].keys()


@pytest.mark.parametrize(
    ("text", "expected"), [("90d", "trailkeeper-90d"), ("365d", "trailkeeper-365d"), ("forever", None)]
)
def test_each_class_has_a_policy_of_its_name_and_forever_has_none(text: str, expected: str | None) -> None:
    assert expected == policy_id(Retention.parse(text))


def test_no_policy_can_be_made_for_forever() -> None:
    with pytest.raises(ValueError, match="forever"):
        policy(Retention(None))


@given(retentions, days, st.timedeltas(timedelta(days=-1000), timedelta(days=1000)))
def test_whatever_the_creation_date_no_suitable_policy_is_early(
    retention: Retention, day: date, offset: timedelta
) -> None:
    created = end_of(day) + offset
    name = suitable(retention, day, created)
    if name is None:
        return
    body = policy(retention, dated=name == policy_id(retention))["policy"]
    age = body["states"][0]["transitions"][0]["conditions"]["min_index_age"]
    due = retention.due(day)
    assert due is not None
    assert created + timedelta(days=int(age.removesuffix("d"))) >= due


@given(retentions, days)
def test_an_index_with_its_creation_date_gets_the_exact_policy(retention: Retention, day: date) -> None:
    assert policy_id(retention) == suitable(retention, day, end_of(day))


@given(retentions, days, st.timedeltas(timedelta(0), timedelta(days=2)))
def test_an_index_made_the_day_before_or_on_its_day_has_a_policy_too(
    retention: Retention, day: date, before: timedelta
) -> None:
    assert suitable(retention, day, end_of(day) - before) is not None


def test_an_index_that_says_it_is_far_older_than_its_day_gets_no_policy() -> None:
    assert suitable(Retention(90), date(2026, 11, 23), datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_forever_gets_no_policy() -> None:
    assert suitable(Retention(None), date(2026, 11, 23), end_of(date(2026, 11, 23))) is None


def as_ism_gives_it(retention: Retention, **more: object) -> StandingPolicy:
    """The policy with what a real one added to it (opensearch-ism.md, item 2)."""
    body = policy(retention)["policy"]
    for state in body["states"]:
        for action in state["actions"]:
            action["retry"] = {"count": 3, "backoff": "exponential", "delay": "1m"}
    body |= {
        "policy_id": policy_id(retention),
        "last_updated_time": 1795414000851,
        "schema_version": 27,
        "error_notification": None,
    }
    return StandingPolicy(str(policy_id(retention)), body | more, 7, 1)


def test_what_ism_adds_is_no_difference() -> None:
    assert compare("trailkeeper-90d", as_ism_gives_it(Retention(90)), policy(Retention(90))).action == "unchanged"


def test_another_age_is_a_difference_and_is_shown() -> None:
    change = compare("trailkeeper-90d", as_ism_gives_it(Retention(30)), policy(Retention(90)))
    assert change.action == "update"
    assert '-            "min_index_age": "30d"' in change.diff
    assert '+            "min_index_age": "90d"' in change.diff
    assert "retry" not in change.diff


def test_a_state_too_many_is_a_difference() -> None:
    extra = {"name": "warm", "actions": [], "transitions": []}
    standing = as_ism_gives_it(Retention(90), states=[*policy(Retention(90))["policy"]["states"], extra])
    assert compare("trailkeeper-90d", standing, policy(Retention(90))).action == "update"


def test_a_missing_policy_is_to_be_created_and_shown_whole() -> None:
    change = compare("trailkeeper-90d", None, policy(Retention(90)))
    assert (change.kind, change.name, change.action) == ("ISM policy", "trailkeeper-90d", "create")
    assert "min_index_age" in change.diff
