"""A clean slate around each test: no settings from outside, nothing left running or bound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import trailkeeper
from sdk.tests.support import Ingest
from trailkeeper import pipeline


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    server = Ingest()
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture(autouse=True)
def _clean_slate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings from outside, no default journal in a real home, nothing left running or bound."""
    for name in list(os.environ):
        if name.startswith("TRAILKEEPER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    structlog.contextvars.clear_contextvars()
    before = pipeline.install(None)
    yield
    if (left := pipeline.install(before)) is not None:
        left.delivery.close(0.2)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def audit() -> trailkeeper.AuditLogger:
    return trailkeeper.get_logger().bind(organization_id="org_1", actor={"type": "user", "id": "u_1"})
