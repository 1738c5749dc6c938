"""`python -m examples.demo` as somebody at a terminal sees it: what it prints, what it leaves, and that it ends."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from examples.demo.processes import ROOT, DemoError, choose_port, environment
from examples.demo.session import demo_folder
from trailkeeper import Action

Json = dict[str, Any]
SETTLED = "New events arrive"


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start a demo on a free port, with a setting of a real deployment in its environment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo", "--folder", str(folder), "--port", str(port), *options],
        cwd=ROOT,
        env=os.environ | {"TRAILKEEPER_STORE_URL": "opensearch://nobody.invalid:9200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


def children_of(pid: int) -> dict[int, str]:
    """Find the processes that a process started, with their commands."""
    children = (Path(f"/proc/{pid}/task/{pid}/children").read_text()).split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children}


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (one that is over and not yet collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path, str]]:
    """A demo that stays up, its folder, and everything it printed until it did."""
    folder = tmp_path_factory.mktemp("demo")
    process = start(folder)
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if SETTLED in line:
            break
    try:
        assert process.poll() is None, "".join(lines)
        yield process, folder, "".join(lines)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


@pytest.fixture
def session(demo: tuple[subprocess.Popen[str], Path, str]) -> Json:
    """What the demo wrote for scripts."""
    content: Json = json.loads((demo[1] / "session.json").read_text())
    return content


@pytest.fixture
def commands(demo: tuple[subprocess.Popen[str], Path, str]) -> list[str]:
    """The commands that were printed, as somebody would copy them."""
    found = re.findall(r"^curl .*(?:\\\n.*)+$", demo[2], re.MULTILINE)
    assert len(found) == 3
    return found


def run(command: str) -> str:
    """Run a printed command; where there is no curl, send what it says."""
    if shutil.which("curl"):
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    words = shlex.split(command.split(" | ")[0].replace("\\\n", ""))
    name, value = words[words.index("-H") + 1].split(": ", 1)
    answer = httpx.get(words[-1], headers={name: value})
    return f"HTTP/1.1 {answer.status_code}\r\n\r\n{answer.text}" if "-i" in words else answer.text


def test_the_first_command_shows_who_removed_the_member_and_what_she_was(commands: list[str]) -> None:
    items = json.loads(run(commands[0]))["items"]

    assert [(item["action"], item["actor"]["name"], item["details"]["changes"]["role"]) for item in items] == [
        ("team_member.remove", "Ada Okafor", {"old": "admin", "new": None}),
        ("team_member.update", "Ada Okafor", {"old": "developer", "new": "admin"}),
    ]


def test_the_second_command_shows_who_disabled_the_key(commands: list[str]) -> None:
    items = json.loads(run(commands[1]))["items"]

    assert {item["actor"]["email"] for item in items} == {"dana@northwind.example"}
    assert {item["resource"]["type"] for item in items} == {"api_key"}
    assert items[0]["resource"]["name"] == "production-web"
    assert items[0]["details"]["changes"] == {"status": {"old": "active", "new": "inactive"}}


def test_the_third_command_shows_that_a_developer_is_refused(commands: list[str]) -> None:
    head, _, body = run(commands[2]).replace("\r", "").partition("\n\n")

    assert head.split()[1] == "403"
    assert json.loads(body)["status"] == 403


def test_everything_a_script_needs_is_in_the_session_file_for_its_owner_alone(
    demo: tuple[subprocess.Popen[str], Path, str], session: Json
) -> None:
    assert set(session) == {"url", "ingest_url", "organization_id", "ingest_key", "tokens"}
    assert set(session["tokens"]) == {"owner", "admin", "developer"}
    assert stat.S_IMODE((demo[1] / "session.json").stat().st_mode) == 0o600
    for role, token in session["tokens"].items():
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["role"] == role
        assert claims["exp"] - datetime.now(UTC).timestamp() > 12 * 3600
        assert token in demo[2]
    assert session["url"] in demo[2]


def test_every_action_of_the_gateway_is_found_again(session: Json) -> None:
    answer = httpx.get(
        f"{session['url']}/v1/organizations/{session['organization_id']}/audit-logs/filters",
        headers={"Authorization": f"Bearer {session['tokens']['admin']}"},
    )
    counts = {action["value"]: action["count"] for action in answer.json()["actions"]}

    assert set(Action) <= set(counts)
    assert sum(counts[str(action)] for action in Action) >= 220


def test_while_it_stays_up_new_events_arrive(session: Json) -> None:
    def count() -> int:
        answer = httpx.get(
            f"{session['url']}/v1/organizations/{session['organization_id']}/audit-logs/filters",
            params={"from": began, "action": [str(action) for action in Action]},
            headers={"Authorization": f"Bearer {session['tokens']['owner']}"},
        )
        return sum(action["count"] for action in answer.json()["actions"])

    began = datetime.now(UTC).isoformat()
    deadline = time.monotonic() + 60
    while count() == 0:
        assert time.monotonic() < deadline


def test_the_session_ingest_key_takes_an_event(session: Json) -> None:
    answer = httpx.post(
        f"{session['ingest_url']}/v1/events",
        json={"organization_id": session["organization_id"], "actor": {"type": "system"}, "action": "demo.test"},
        headers={"Authorization": f"Bearer {session['ingest_key']}"},
    )

    assert answer.status_code == 202


def test_a_second_demo_in_the_same_folder_says_that_one_is_running(
    demo: tuple[subprocess.Popen[str], Path, str],
) -> None:
    second = start(demo[1], "--once")
    output, _ = second.communicate()

    assert second.returncode == 1
    assert "A demo is running in" in output
    assert demo[0].poll() is None


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_every_process_of_it(number: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "Driving the gateway" in line:
            break
    children = children_of(process.pid)

    process.send_signal(number)
    process.send_signal(number)  # as make does
    output, _ = process.communicate()

    assert process.returncode == 0, output
    assert len(children) >= 2
    assert not any(map(is_alive, children))


@linux
def test_a_trail_that_dies_ends_the_demo_with_its_reason(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if SETTLED in line:
            break
    children = children_of(process.pid)
    (trail,) = [pid for pid, command in children.items() if "trailkeeper serve" in command]

    os.kill(trail, signal.SIGKILL)
    output, _ = process.communicate()

    assert process.returncode == 1
    assert "The trail ended (exit code -9)" in output
    assert not any(map(is_alive, children))


def test_once_ends_by_itself_and_keep_goes_on_with_what_is_there(tmp_path: Path) -> None:
    def events_of(*options: str) -> int:
        process = start(tmp_path, "--once", *options)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        found = re.search(r"^(\d+) events", output, re.MULTILINE)
        assert found, output
        return int(found[1])

    first = events_of("--days", "0")

    assert events_of("--keep") == 2 * first
    assert events_of() == first


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = start(tmp_path, "--port", str(port))
        output, _ = process.communicate()

    assert process.returncode == 1
    assert f"Port {port} can't be listened on" in output
    assert not (tmp_path / "session.json").exists()


def test_without_a_port_a_taken_8321_makes_it_a_free_one() -> None:
    try:
        listener = socket.create_server(("127.0.0.1", 8321))
    except OSError:  # somebody has it already, which is as good
        assert choose_port(None) != 8321
        return
    with listener:
        assert choose_port(None) not in (0, 8321)


def test_settings_of_a_real_deployment_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_STORE_URL", "opensearch://production")

    assert "TRAILKEEPER_STORE_URL" not in environment(port=1)
    assert environment(port=1)["TRAILKEEPER_PORT"] == "1"


def test_a_fresh_demo_takes_away_its_own_files_alone(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    for name in ("trail.sqlite", "trail.sqlite-wal", "gateway.log", "notes.txt", "journal/segment"):
        (tmp_path / name).touch()

    with demo_folder(tmp_path, keep=False):
        assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "lock"}


def test_a_folder_is_for_one_demo_at_a_time(tmp_path: Path) -> None:
    with (
        demo_folder(tmp_path, keep=False),
        pytest.raises(DemoError, match="is running"),
        demo_folder(tmp_path, keep=True),
    ):
        pass
