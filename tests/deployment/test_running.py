"""docker-compose.yml as it runs: its commands and settings as processes, over a real node with TLS and users."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.deployment.compose_file import OURS, ROOT, SERVICES, interpolate
from tests.deployment.stack import Service, Stack
from tests.nodes import Node

ORGANIZATION = "acme"


@pytest.fixture(scope="module")
def stack(secured_node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(secured_node, tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()
    with secured_node.http() as client:
        for index in client.get("/_cat/indices/audit-*,trailkeeper-records", params={"format": "json"}).json():
            client.delete(f"/{index['index']}").raise_for_status()


@pytest.fixture(scope="module")
def setup(stack: Stack) -> subprocess.CompletedProcess[str]:
    return stack.run("setup")


@pytest.fixture(scope="module")
def services(stack: Stack, setup: subprocess.CompletedProcess[str]) -> dict[str, Service]:
    """What waits for setup, in the order in which the file has it."""
    assert setup.returncode == 0, setup.stderr
    return {name: stack.start(name) for name in OURS if "setup" in OURS[name]["depends_on"]}


@pytest.fixture(scope="module")
def ingest_key(stack: Stack, services: dict[str, Service]) -> str:
    made = stack.run("ingest", "keys", "create", "--organization", ORGANIZATION)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def token(stack: Stack, services: dict[str, Service]) -> str:
    made = stack.run("search", "token", "--organization", ORGANIZATION)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def _send(service: Service, key: str, resource: str) -> dict[str, Any]:
    answer = httpx.post(
        f"{service.url}/v1/events?ack=searchable",
        headers={"Authorization": f"Bearer {key}"},
        json={
            "occurred_at": datetime.now(UTC).isoformat(),
            "organization_id": ORGANIZATION,
            "actor": {"type": "user", "id": "u-1", "email": "ada@acme.example"},
            "action": "project.create",
            "resource": {"id": resource},
        },
        timeout=40,
    )
    assert answer.status_code == 202, answer.text
    (result,) = answer.json()["results"]
    return dict(result)


def _find(service: Service, token: str, **filters: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{service.url}/v1/organizations/{ORGANIZATION}/audit-logs",
        params=filters,
        headers={"Authorization": f"Bearer {token}"},
        timeout=40,
    )
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_setup_succeeds_and_says_what_it_made(setup: subprocess.CompletedProcess[str]) -> None:
    assert setup.returncode == 0, setup.stderr
    assert all(f"template trailkeeper-{name}" in setup.stdout for name in ("settings", "mappings"))


def test_setup_again_changes_nothing(stack: Stack, setup: subprocess.CompletedProcess[str]) -> None:
    again = stack.run("setup", "setup", "--json")
    assert again.returncode == 0, again.stderr
    assert {change["action"] for change in json.loads(again.stdout)} == {"unchanged"}


def test_each_service_lives_and_is_ready(services: dict[str, Service]) -> None:
    assert list(services) == ["ingest", "search", "lifecycle"]
    for service in services.values():
        assert service.health_check().returncode == 0
        answer = httpx.get(f"{service.url}/readyz", timeout=40)
        assert (answer.status_code, answer.json()["status"]) == (200, "ready"), answer.text


def test_the_health_check_fails_where_nothing_listens(services: dict[str, Service]) -> None:
    service = services["lifecycle"]
    port = service.environment["TRAILKEEPER_PORT"]
    service.environment["TRAILKEEPER_PORT"] = "1"
    try:
        assert service.health_check().returncode == 1
    finally:
        service.environment["TRAILKEEPER_PORT"] = port


def test_an_event_goes_in_at_ingest_and_comes_out_at_search(
    services: dict[str, Service], ingest_key: str, token: str
) -> None:
    sent = _send(services["ingest"], ingest_key, "p-in-and-out")
    assert [event["id"] for event in _find(services["search"], token, resource_id="p-in-and-out")] == [sent["id"]]


def test_that_the_trail_was_read_is_on_the_trail(
    stack: Stack, services: dict[str, Service], ingest_key: str, token: str
) -> None:
    _send(services["ingest"], ingest_key, "p-read")
    _find(services["search"], token, resource_id="p-read")
    # Stopping drains the spool, so the view has reached OpenSearch.
    assert stack.stop(services["search"]) == 0, services["search"].log
    services["search"] = stack.start("search")
    views = _find(services["search"], token, action="audit_log.view")
    assert any("p-read" in json.dumps(view["details"]) for view in views)


def test_one_service_does_not_do_anothers_work(services: dict[str, Service], ingest_key: str, token: str) -> None:
    path = f"/v1/organizations/{ORGANIZATION}/audit-logs"
    assert httpx.get(services["ingest"].url + path, headers={"Authorization": f"Bearer {token}"}).status_code == 404
    headers = {"Authorization": f"Bearer {ingest_key}"}
    assert httpx.post(services["search"].url + "/v1/events", headers=headers, json={}).status_code == 404
    assert httpx.get(services["lifecycle"].url + path).status_code == 404


def test_a_replaced_ingest_goes_on_with_the_log_in_its_volume(
    stack: Stack, services: dict[str, Service], ingest_key: str, token: str
) -> None:
    for name in ("p-before", "p-after"):
        _send(services["ingest"], ingest_key, name)
        assert stack.stop(services["ingest"]) == 0, services["ingest"].log
        services["ingest"] = stack.start("ingest")
    before, after = (_find(services["search"], token, resource_id=name)[0] for name in ("p-before", "p-after"))
    assert (after["log"]["id"], after["log"]["index"]) == (before["log"]["id"], before["log"]["index"] + 1)


def test_a_second_ingest_on_the_same_spool_refuses_to_start(stack: Stack, services: dict[str, Service]) -> None:
    second = stack.run("ingest")
    assert second.returncode == 1
    assert "in use by another process" in " ".join(second.stderr.split())


def test_dead_letters_are_listed_beside_the_running_ingest(stack: Stack, services: dict[str, Service]) -> None:
    listed = stack.run("ingest", "deadletters", "list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr


def test_status_finds_todays_index(stack: Stack, services: dict[str, Service], ingest_key: str) -> None:
    _send(services["ingest"], ingest_key, "p-status")
    shown = stack.run("lifecycle", "status", "--json")
    days = [day["name"] for day in json.loads(shown.stdout)["days"]]
    assert f"audit-90d-{datetime.now(UTC):%Y.%m.%d}" in days


def test_no_service_warns_of_anything(services: dict[str, Service]) -> None:
    for service in services.values():
        assert "Warning" not in service.log
        assert "Traceback" not in service.log


@pytest.fixture
def opensearch_is_healthy(secured_node: Node) -> Any:
    if shutil.which("curl") is None:
        pytest.skip("needs curl, which the image's health check runs")

    def check(password: str | None = secured_node.password) -> bool:
        service = interpolate(SERVICES["opensearch"], {"OPENSEARCH_ADMIN_PASSWORD": password or ""})
        kind, command = service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        command = command.replace("https://localhost:9200", secured_node.url)
        environment = {"PATH": "/usr/bin:/bin", **service["environment"]}
        return subprocess.run(["/bin/sh", "-c", command], env=environment, check=False).returncode == 0

    return check


def test_opensearchs_health_check_accepts_yellow_and_not_red(secured_node: Node, opensearch_is_healthy: Any) -> None:
    def health(client: httpx.Client, status: str) -> None:
        answer = client.get("/_cluster/health/deployment-probe", params={"wait_for_status": status, "timeout": "20s"})
        assert answer.json()["status"] == status

    with secured_node.http() as client:
        try:
            client.put("/deployment-probe", json={"settings": {"number_of_replicas": 1}}).raise_for_status()
            health(client, "yellow")
            assert opensearch_is_healthy()
            client.delete("/deployment-probe").raise_for_status()
            settings = {"number_of_replicas": 0, "routing.allocation.require._name": "nobody"}
            client.put(
                "/deployment-probe", json={"settings": settings}, params={"wait_for_active_shards": "0"}
            ).raise_for_status()
            health(client, "red")
            assert not opensearch_is_healthy()
        finally:
            client.delete("/deployment-probe")


def test_opensearchs_health_check_knows_its_password(opensearch_is_healthy: Any) -> None:
    assert not opensearch_is_healthy("another 'one' $HOME \"quoted\"")


def test_the_figures_that_the_documentation_names_are_there(services: dict[str, Service]) -> None:
    named = set(re.findall(r"`(trailkeeper_\w+)`", (ROOT / "docs" / "deployment.md").read_text("utf-8")))
    assert named
    shown = httpx.get(f"{services['ingest'].url}/metrics").text
    assert [name for name in named if name not in shown] == []
