"""ISM's answers are read rightly: each is as a real one gave it (OpenSearch 3.6.0 with index-management 3.6.0.0).

This is parsing. What needs an ISM that answers is in test_with_ism.py.
"""

import json

import pytest
from opensearchpy.exceptions import RequestError

from lifecycle.ism import ALREADY_MANAGED, Changed, Managed, no_handler, read_changed, read_explain, read_policy
from lifecycle.policies.loader import outdated

UNMANAGED = json.loads(
    '{"pre-1":{"index.plugins.index_state_management.policy_id":null,'
    '"index.opendistro.index_state_management.policy_id":null,"enabled":null},"total_managed_indices":0}'
)
JUST_ATTACHED = {
    "index.plugins.index_state_management.policy_id": "x",
    "index.opendistro.index_state_management.policy_id": "x",
    "index": "vt-1",
    "index_uuid": "bBLq",
    "policy_id": "x",
    "enabled": True,
}
INITIALIZED = JUST_ATTACHED | json.loads(
    '{"policy_seq_no":0,"policy_primary_term":1,"index_creation_date":1795414000851,'
    '"state":{"name":"hot","start_time":1795414097110},"retry_info":{"failed":false,"consumed_retries":0},'
    '"info":{"message":"Successfully initialized policy: x"}}'
)
TOO_YOUNG = INITIALIZED | json.loads(
    '{"action":{"name":"transition","start_time":1795414157110,"index":-1,"failed":false,"consumed_retries":0,'
    '"last_retry_time":0},"step":{"name":"attempt_transition_step","start_time":1795414157110,'
    '"step_status":"condition_not_met"},"info":{"message":"Evaluating transition conditions [index=vt-1]"}}'
)
DUE = {key: value for key, value in TOO_YOUNG.items() if key != "state"} | {
    "transition_to": "delete",
    "info": {"message": "Transitioning to delete [index=vt-1]"},
}


def explained(told: dict[str, object]) -> Managed:
    return read_explain({"vt-1": told, "total_managed_indices": 1})["vt-1"]


def test_an_unmanaged_index_has_no_policy() -> None:
    assert {"pre-1": Managed("pre-1", None, enabled=None)} == read_explain(UNMANAGED)


def test_an_index_just_attached_has_its_policy_and_no_state_yet() -> None:
    assert Managed("vt-1", "x", enabled=True) == explained(JUST_ATTACHED)


def test_policy_version_zero_is_a_version() -> None:
    managed = explained(INITIALIZED)
    assert (managed.policy_seq_no, managed.state, managed.failed) == (0, "hot", False)
    assert managed.message == "Successfully initialized policy: x"


def test_an_index_that_is_too_young_has_not_failed() -> None:
    managed = explained(TOO_YOUNG)
    assert (managed.state, managed.failed, managed.enabled) == ("hot", False, True)


def test_an_index_that_is_due_is_on_its_way_without_a_state() -> None:
    managed = explained(DUE)
    assert (managed.state, managed.message) == ("delete", "Transitioning to delete [index=vt-1]")


def test_a_failed_action_is_seen() -> None:
    assert explained(TOO_YOUNG | {"action": {"name": "delete", "failed": True}}).failed


def test_two_hundred_does_not_mean_done() -> None:
    nothing = {"updated_indices": 0, "failures": False, "failed_indices": []}
    assert Changed(0, {}) == read_changed(nothing)
    reason = "This index already has a policy, use the update policy API to update index policies"
    already = {
        "updated_indices": 0,
        "failures": True,
        "failed_indices": [{"index_name": "vt-1", "index_uuid": "bBLq", "reason": reason}],
    }
    assert Changed(0, {"vt-1": reason}) == read_changed(already)
    assert ALREADY_MANAGED in reason


def test_a_policy_is_read_with_the_numbers_that_a_write_must_name() -> None:
    answer = {"_id": "x", "_version": 2, "_seq_no": 11, "_primary_term": 1, "policy": {"policy_id": "x", "states": []}}
    standing = read_policy(answer)
    assert (standing.id, standing.seq_no, standing.primary_term, standing.body["states"]) == ("x", 11, 1, [])


def test_only_indices_on_another_version_of_the_very_policy_are_outdated() -> None:
    standing = read_policy({"_id": "x", "_seq_no": 5, "_primary_term": 1, "policy": {}})
    managed = [
        Managed("old", "x", policy_seq_no=0),
        Managed("newest", "x", policy_seq_no=5),
        Managed("not-begun", "x"),
        Managed("of-another", "y", policy_seq_no=0),
    ]
    assert outdated(standing, managed) == ["old"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"error": "no handler found for uri [/_plugins/_ism/policies] and method [GET]"}, True),
        ({"error": {"type": "illegal_argument_exception", "reason": "wrong size"}, "status": 400}, False),
    ],
)
def test_no_ism_is_told_from_other_errors(told: dict[str, object], expected: bool) -> None:
    assert expected is no_handler(RequestError(400, "x", told))
