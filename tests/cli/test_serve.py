"""`trailkeeper serve`: a real process on a real port, from its first line to a clean end."""

import signal
import socket
import subprocess

import httpx
import pytest

from tests.cli.command import COMMAND, Command
from tests.ingest.sending import NDJSON, event, line


def key_of(trailkeeper: Command) -> str:
    return trailkeeper("keys", "create", "--organization", "org_1", code=0).out.strip()


def post(url: str, key: str, *lines: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": NDJSON}
    return httpx.post(f"{url}/v1/events", content=b"\n".join(lines), headers=headers, trust_env=False)


def test_an_event_goes_in_and_comes_out(trailkeeper: Command) -> None:
    key = key_of(trailkeeper)
    token = trailkeeper("token", "--organization", "org_1").out.strip()
    sent = event()
    with trailkeeper.serving() as served:
        assert post(served.url, key, line(id=sent["id"])).json()["accepted"] == 1
        page = httpx.get(
            f"{served.url}/v1/organizations/org_1/audit-logs",
            params={"action": "api_key.create"},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        ).json()

    assert [item["id"] for item in page["items"]] == [sent["id"]]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(trailkeeper: Command, ending: int) -> None:
    key = key_of(trailkeeper)
    with trailkeeper.serving() as served:
        post(served.url, key, line())
        ended = served.stop(ending)

    assert ended.code in (0, 130)
    assert "Traceback" not in ended.err
    assert not (trailkeeper.folder / "trailkeeper.sqlite-wal").exists()


def test_kill_9_loses_nothing_that_was_acknowledged(trailkeeper: Command) -> None:
    key = key_of(trailkeeper)
    with trailkeeper.serving() as served:
        ids = [result["id"] for result in post(served.url, key, *(line() for _ in range(200))).json()["results"]]
        served.stop(signal.SIGKILL)

    exported = trailkeeper("export", "--organization", "org_1", "--action", "api_key.create", code=0).lines()
    assert {each["id"] for each in exported} == set(ids)


@pytest.mark.parametrize(
    ("only", "there", "gone"),
    [
        ("ingest", "/v1/events", "/v1/organizations/org_1/audit-logs"),
        ("search", "/v1/organizations/org_1/audit-logs", "/v1/events"),
        ("lifecycle", "/healthz", "/v1/events"),
    ],
)
def test_one_service_alone_has_only_its_own_paths(trailkeeper: Command, only: str, there: str, gone: str) -> None:
    with trailkeeper.serving("--only", only) as served:
        statuses = [httpx.get(served.url + path, trust_env=False).status_code for path in (there, gone)]

    assert statuses[0] != 404
    assert statuses[1] == 404


def test_it_is_alive_and_ready(trailkeeper: Command) -> None:
    with trailkeeper.serving() as served:
        assert httpx.get(f"{served.url}/healthz", trust_env=False).json() == {"status": "ok"}
        assert httpx.get(f"{served.url}/readyz", trust_env=False).json()["status"] == "ready"


def test_a_port_that_is_taken_is_told(trailkeeper: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = trailkeeper("serve", "--port", str(taken.getsockname()[1]), code=1)

    assert "field: TRAILKEEPER_PORT" in ran.err


def test_a_host_that_is_none_is_told(trailkeeper: Command) -> None:
    assert "can't be listened on" in trailkeeper("serve", "--host", "nowhere.invalid", "--port", "0", code=1).err


def test_the_installed_command_is_this_one(trailkeeper: Command) -> None:
    ran = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True, timeout=60)

    assert "audit trail" in ran.stdout
