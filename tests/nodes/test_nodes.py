"""The harness keeps its promises: nodes that come back, that refuse strangers, and that never outlive their runner."""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.nodes import Node, NodeUnavailable, NotOurs, has_ism, process, required, start_node
from tests.nodes.external import ExternalNode


@pytest.fixture(scope="module")
def own_node() -> Iterator[Node]:
    try:
        node = start_node(own=True)
    except NodeUnavailable as reason:
        if required():
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    with node:
        yield node


def test_a_document_that_was_acknowledged_survives_sigkill(own_node: Node) -> None:
    address = own_node.url
    with own_node.http() as client:
        client.put("/kept/_doc/1", json={"a": 1}).raise_for_status()
    own_node.kill()
    with own_node.http() as client, pytest.raises(httpx.ConnectError):
        client.get("/")
    own_node.start()
    assert address == own_node.url
    with own_node.http() as client:
        assert client.get("/kept/_doc/1").json()["_source"] == {"a": 1}


def test_kill_reaches_java_and_not_only_its_starter(own_node: Node) -> None:
    if not isinstance(own_node, process.ProcessNode):
        pytest.skip("the node is a container: its processes are Docker's")
    command = Path(f"/proc/{own_node.pid}/cmdline")
    if not command.exists():
        pytest.skip("no /proc here")
    assert b"org.opensearch.bootstrap.OpenSearch" in command.read_bytes()


def test_a_node_dies_with_the_program_that_started_it(own_node: Node) -> None:
    if not isinstance(own_node, process.ProcessNode):
        pytest.skip("the node is a container: testcontainers' reaper removes it")
    # Not a node, since the watchdog knows only groups: a process that would sleep for an hour.
    program = (
        "import pathlib, subprocess, sys, tempfile, time\n"
        "from tests.nodes.watchdog import Watchdog\n"
        "folder = pathlib.Path(tempfile.mkdtemp()); dog = Watchdog(folder)\n"
        "child = subprocess.Popen(['sleep', '3600'], start_new_session=True, stdout=subprocess.DEVNULL)\n"
        "dog.watch(child.pid); print(child.pid, folder, flush=True); time.sleep(3600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        pid, folder = runner.stdout.readline().split()
        runner.send_signal(signal.SIGKILL)
    _wait_until(lambda: not _runs(int(pid)) and not Path(folder).exists())


def test_the_secured_node_refuses_a_stranger_and_knows_its_admin(secured_node: Node) -> None:
    assert secured_node.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(secured_node.ca_file))
    assert httpx.get(secured_node.url, verify=context, trust_env=False).status_code == 401
    with secured_node.http() as client:
        assert client.get("/").status_code == 200


def test_a_node_somebody_named_is_never_stopped(opensearch_node: Node) -> None:
    theirs = ExternalNode(opensearch_node.url)
    assert not theirs.controllable
    for act in (theirs.start, theirs.stop, theirs.kill, theirs.restart):
        with pytest.raises(NotOurs):
            act()
    theirs.close()
    assert opensearch_node.alive()


def test_credentials_in_the_address_are_taken_out_of_it(secured_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSEARCH_CA_FILE", str(secured_node.ca_file))
    address = secured_node.url.replace("https://", f"https://{secured_node.user}:{secured_node.password}@")
    assert secured_node.url == ExternalNode(address).url


def test_a_node_without_plugins_has_no_ism(own_node: Node) -> None:
    if not isinstance(own_node, process.ProcessNode):
        pytest.skip("the node is a container of the full distribution, which has ISM")
    assert has_ism(own_node.url) is False


def test_the_probe_takes_no_answer_for_an_error_and_not_for_no_ism() -> None:
    with pytest.raises(httpx.ConnectError):
        has_ism("http://127.0.0.1:9")


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        # An orphan that no init reaps stays as a zombie: dead for us.
        status = Path(f"/proc/{pid}/stat")
        with suppress(FileNotFoundError):
            return status.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
