"""Bodies over a real socket into a real server process: limits hold before memory does, and a cut request stores nothing."""

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cli.command import Command, start_zygote
from tests.ingest.sending import line


@pytest.fixture(scope="module")
def trailkeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with start_zygote() as zygote:
        yield Command(tmp_path_factory.mktemp("served"), zygote)


@pytest.fixture(scope="module")
def key(trailkeeper: Command) -> str:
    return trailkeeper("keys", "create", "--organization", "org_1", code=0).out.strip()


@pytest.fixture(scope="module")
def url(trailkeeper: Command, key: str) -> Iterator[str]:
    with trailkeeper.serving("--only", "ingest") as served:
        yield served.url


@pytest.fixture
def client(url: str, key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def accepted(client: httpx.Client) -> float:
    """How many events the server counts."""
    for row in client.get("/metrics").text.splitlines():
        if row.startswith('trailkeeper_ingest_events_total{result="accepted"}'):
            return float(row.split()[-1])
    return 0.0


def raw(url: str, *parts: bytes) -> socket.socket:
    """Send bytes on a connection of their own."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port or 0), timeout=10)
    for part in parts:
        connection.sendall(part)
    return connection


def head(key: str, *more: str) -> bytes:
    lines = [
        "POST /v1/events HTTP/1.1",
        "Host: ingest.test",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_an_announced_6_mib_is_refused_before_it_is_sent(url: str, key: str) -> None:
    with raw(url, head(key, f"Content-Length: {6 << 20}")) as connection:
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413")


def test_6_mib_in_chunks_are_refused_when_they_are_too_many(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(96):
            yield b" " * 65536

    try:
        response = client.post("/v1/events", content=chunks())
    except httpx.WriteError:
        return  # the server closed while we were still sending: refused as well
    assert response.status_code == 413


def test_a_body_of_just_the_limit_is_taken(client: httpx.Client) -> None:
    body = line()

    assert client.post("/v1/events", content=body + b" " * ((5 << 20) - len(body))).status_code == 202


def test_a_request_that_is_cut_short_stores_nothing(url: str, key: str, client: httpx.Client) -> None:
    before = accepted(client)
    raw(url, head(key, "Content-Length: 5000"), line()).close()

    assert client.post("/v1/events", content=line()).status_code == 202
    assert accepted(client) == before + 1


def test_a_slow_sender_keeps_nobody_waiting(url: str, key: str, client: httpx.Client) -> None:
    with raw(url, head(key, "Content-Length: 5000"), b"{"):
        began = time.monotonic()
        assert client.post("/v1/events", content=line()).status_code == 202

    assert time.monotonic() - began < 5


def test_a_body_in_many_small_pieces_is_whole(url: str, key: str) -> None:
    body = line()
    start = head(key, f"Content-Length: {len(body)}", "Connection: close")
    with raw(url, start, *(body[n : n + 1] for n in range(len(body)))) as connection, connection.makefile("rb") as file:
        answer = file.read()

    assert answer.startswith(b"HTTP/1.1 202")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["accepted"] == 1


def test_a_request_that_is_no_http_harms_nobody(url: str, client: httpx.Client) -> None:
    with raw(url, b"\x16\x03\x01 hello\r\n\r\n") as connection:
        connection.recv(1024)

    assert client.post("/v1/events", content=line()).status_code == 202
