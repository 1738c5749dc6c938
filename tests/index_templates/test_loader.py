"""The loader: shows before it changes, is harmless when repeated, never goes back, and several may do it at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opensearchpy import OpenSearch

from audit.errors import ConfigurationError, StoreUnavailable
from index_templates import AUDIT, MAPPINGS, SETTINGS, VERSION
from index_templates.loader import NewerTemplates, apply, best_codec, plan, prepare


def _actions(changes: list[Any]) -> dict[str, str]:
    return {change.name: change.action for change in changes}


def test_on_an_empty_cluster_everything_is_to_be_created_and_nothing_is_yet(client: OpenSearch) -> None:
    changes = plan(client)
    assert _actions(changes) == {SETTINGS: "create", MAPPINGS: "create", AUDIT: "create"}
    assert '"type": "flat_object"' in "\n".join(change.diff for change in changes)
    assert not client.indices.exists_index_template(name=AUDIT)


def test_applied_once_there_is_nothing_left_to_do(client: OpenSearch) -> None:
    apply(client, plan(client))
    assert set(_actions(plan(client)).values()) == {"unchanged"}
    assert [change.diff for change in plan(client)] == ["", "", ""]


def test_a_template_somebody_changed_shows_as_a_diff_and_is_put_right(client: OpenSearch) -> None:
    prepare(client)
    standing = client.cluster.get_component_template(name=SETTINGS)["component_templates"][0]["component_template"]
    standing["template"]["settings"]["index"]["refresh_interval"] = "30s"
    client.cluster.put_component_template(name=SETTINGS, body=standing)

    (change,) = (change for change in plan(client) if change.action != "unchanged")
    assert (change.name, change.action) == (SETTINGS, "update")
    changed = [line for line in change.diff.splitlines()[2:] if line.startswith(("-", "+"))]
    assert [line.strip() for line in changed] == [
        '-      "index.refresh_interval": "30s"',
        '+      "index.refresh_interval": "1s"',
    ]
    prepare(client)
    assert set(_actions(plan(client)).values()) == {"unchanged"}


@pytest.mark.parametrize(
    ("replicas", "setting"),
    [("0-1", "auto_expand_replicas"), ("0-all", "auto_expand_replicas"), ("2", "number_of_replicas")],
)
def test_copies_are_a_range_or_a_number(client: OpenSearch, replicas: str, setting: str) -> None:
    prepare(client, replicas)
    simulated = client.transport.perform_request("POST", "/_index_template/_simulate_index/audit-1d-1999.01.01")
    assert simulated["template"]["settings"]["index"][setting] == replicas


def test_copies_no_cluster_can_have_are_said_to_the_person(client: OpenSearch) -> None:
    with pytest.raises(ConfigurationError, match="minReplicas must be =< maxReplicas"):
        prepare(client, "3-1")


def test_a_newer_version_is_never_taken_back(client: OpenSearch) -> None:
    prepare(client)
    _set_version(client, VERSION + 1)
    with pytest.raises(NewerTemplates, match=f"version {VERSION + 1}.*brings {VERSION}.*newest Trailkeeper"):
        plan(client)
    prepare(client)  # a service of the older version starts beside it, and changes nothing
    standing = client.cluster.get_component_template(name=SETTINGS)["component_templates"][0]["component_template"]
    assert standing["version"] == VERSION + 1


def test_a_newer_version_that_comes_between_plan_and_apply_is_left(client: OpenSearch) -> None:
    changes = plan(client)
    prepare(client)
    _set_version(client, VERSION + 1)
    with pytest.raises(NewerTemplates):
        apply(client, changes)


def test_an_older_version_is_brought_up(client: OpenSearch) -> None:
    prepare(client)
    _set_version(client, 0)
    assert _actions(plan(client))[SETTINGS] == "update"
    prepare(client)
    assert _actions(plan(client))[SETTINGS] == "unchanged"


def test_several_instances_at_once_all_succeed(client: OpenSearch) -> None:
    with ThreadPoolExecutor(8) as instances:
        list(instances.map(lambda _: prepare(client), range(8)))
    assert set(_actions(plan(client)).values()) == {"unchanged"}


def test_a_template_of_higher_priority_is_found_out(client: OpenSearch) -> None:
    body = {"index_patterns": ["aud*"], "priority": 900}
    client.indices.put_index_template(name="somebodys", body=body)
    try:
        with pytest.raises(ConfigurationError, match="higher priority takes audit-"):
            prepare(client)
    finally:
        client.indices.delete_index_template(name="somebodys")


def test_a_template_of_the_same_priority_is_named(client: OpenSearch) -> None:
    body = {"index_patterns": ["aud*"], "priority": 500}
    client.indices.put_index_template(name="somebodys", body=body)
    try:
        with pytest.raises(ConfigurationError, match="somebodys"):
            prepare(client)
    finally:
        client.indices.delete_index_template(name="somebodys")


def test_the_codec_is_one_that_this_cluster_takes(client: OpenSearch) -> None:
    codec = best_codec(client)
    nodes = client.nodes.info(metric="plugins")["nodes"].values()
    everywhere = all("opensearch-custom-codecs" in [plugin["name"] for plugin in node["plugins"]] for node in nodes)
    assert codec == ("zstd_no_dict" if everywhere else "best_compression")
    prepare(client)
    client.indices.create(index="audit-1d-1999.02.01")
    settings = client.indices.get_settings(index="audit-1d-1999.02.01")["audit-1d-1999.02.01"]["settings"]
    assert settings["index"]["codec"] == codec


def test_no_answer_is_the_store_unavailable() -> None:
    with OpenSearch("http://127.0.0.1:9", max_retries=0) as nobody, pytest.raises(StoreUnavailable):
        plan(nobody)


def test_a_change_as_json_has_no_body(client: OpenSearch) -> None:
    assert set(plan(client)[0].as_dict()) == {"kind", "name", "action", "diff"}


def _set_version(client: OpenSearch, version: int) -> None:
    standing = client.cluster.get_component_template(name=SETTINGS)["component_templates"][0]["component_template"]
    client.cluster.put_component_template(name=SETTINGS, body=standing | {"version": version})
