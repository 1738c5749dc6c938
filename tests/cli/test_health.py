"""/healthz, /readyz and /metrics of the application that `serve` runs."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from audit.errors import StoreUnavailable
from audit.settings import load_settings
from cli.compose import Trail

Application = Callable[..., FastAPI]
INSIDE = "password=secret at host 10.0.0.7"


@contextmanager
def embedded(folder: Path) -> Iterator[Trail]:
    settings = load_settings(store_url=f"sqlite:///{folder / 'trail.sqlite'}")
    with Trail.open(settings, ingest=True) as trail:
        yield trail


async def get(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://trail") as client:
        return await client.get(path)


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def unused_address() -> Iterator[str]:
    """An address at which nobody answers, for as long as the test runs: it is bound, and not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


pytestmark = pytest.mark.anyio


async def test_alive_and_ready(tmp_path: Path):
    with embedded(tmp_path) as trail:
        app = trail.application(ingest=True, search=True, lifecycle=True)

        assert (await get(app, "/healthz")).json() == {"status": "ok"}
        ready = await get(app, "/readyz")

    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"store": "ok", "relay": "ok", "lifecycle": "ok"}},
    )


@pytest.mark.parametrize("services", [{"search": True}, {"ingest": True}, {"ingest": True, "search": True}])
async def test_embedded_nothing_works_without_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: dict[str, bool]
):
    def away() -> None:
        raise StoreUnavailable(INSIDE)

    with embedded(tmp_path) as trail:
        app = trail.application(**services)
        monkeypatch.setattr(trail.store, "check", away)
        with capture_logs() as logs:
            ready = await get(app, "/readyz")
        alive = await get(app, "/healthz")

    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert "secret" not in ready.text
    assert INSIDE in logs[0]["error"]
    assert alive.status_code == 200


@pytest.mark.parametrize(
    ("services", "status", "word"),
    [
        ({"search": True}, 503, "unavailable"),
        ({"ingest": True}, 200, "degraded"),
        ({"ingest": True, "search": True}, 200, "degraded"),
    ],
)
async def test_an_engine_that_is_away_stops_reading_and_not_ingest(
    tmp_path: Path, unused_address: str, services: dict[str, bool], status: int, word: str
):
    settings = load_settings(store_url=f"opensearch://{unused_address}")
    with Trail.open(settings, ingest=True, spool=tmp_path / "spool.sqlite") as trail:
        ready = await get(trail.application(**services), "/readyz")

    assert (ready.status_code, ready.json()["status"]) == (status, word)
    assert unused_address not in ready.text


async def test_metrics_count_what_ingest_did_and_name_no_organization(tmp_path: Path):
    with embedded(tmp_path) as trail:
        trail.record_operation("retention.update", "org_secret", "org_secret")
        metrics = await get(trail.application(ingest=True), "/metrics")

    assert metrics.status_code == 200
    assert "trailkeeper_commit_seconds_count 1.0" in metrics.text
    assert "org_secret" not in metrics.text
