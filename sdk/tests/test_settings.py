"""Settings: given, from the environment, by default; documented; and what importing the package costs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import trailkeeper
from sdk.tests.support import Ingest
from trailkeeper.settings import Settings, default_journal, read_settings

README = Path(__file__).parents[1] / "README.md"


def test_what_is_given_wins_over_the_environment_and_that_over_the_default(tmp_path: Path) -> None:
    environ = {"TRAILKEEPER_URL": "http://a", "TRAILKEEPER_SOURCE": "env", "TRAILKEEPER_JOURNAL": str(tmp_path)}

    settings = read_settings({"source": "given"}, environ)

    assert (settings.url, settings.source, settings.delivery, settings.journal) == (
        "http://a",
        "given",
        "journal",
        tmp_path,
    )


def test_the_environment_alone_is_enough(
    audit: trailkeeper.AuditLogger, ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("TRAILKEEPER_URL", ingest.url)
    monkeypatch.setenv("TRAILKEEPER_INGEST_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("TRAILKEEPER_DELIVERY", "strict")

    audit.info("api_key.create")

    assert ingest.requests[0]["headers"]["Authorization"] == "Bearer from a file"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delivery": "maybe"}, r"delivery \(TRAILKEEPER_DELIVERY\) is 'maybe': it is one of journal, wait, strict"),
        ({"timeout": 0}, "TRAILKEEPER_TIMEOUT"),
        ({"timeout": "soon"}, "TRAILKEEPER_TIMEOUT"),
        ({"journal_max_bytes": -1}, "TRAILKEEPER_JOURNAL_MAX_BYTES"),
        ({"journal_fsync": "yes"}, "TRAILKEEPER_JOURNAL_FSYNC"),
        ({"delivery": "strict"}, "set TRAILKEEPER_URL"),
        ({"url": "ingest.example.com"}, "TRAILKEEPER_URL is 'ingest.example.com'"),
    ],
)
def test_what_cannot_be_used_is_said_by_configure(given: dict[str, Any], message: str) -> None:
    with pytest.raises(trailkeeper.ConfigurationError, match=message):
        trailkeeper.configure(**given)


def test_a_wrong_environment_raises_in_no_call(
    audit: trailkeeper.AuditLogger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRAILKEEPER_TIMEOUT", "soon")

    audit.info("api_key.create")

    assert "TRAILKEEPER_TIMEOUT" in caplog.text
    assert len(list(default_journal(None).glob("segment-*.ndjson"))) == 1


def test_a_wrong_environment_that_asks_for_strict_raises(
    audit: trailkeeper.AuditLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAILKEEPER_DELIVERY", "strict")

    with pytest.raises(trailkeeper.ConfigurationError, match="TRAILKEEPER_URL"):
        audit.info("api_key.create")


def test_the_default_journal_is_the_sources_own() -> None:
    assert default_journal("a/../b c", {"XDG_STATE_HOME": "/s"}) == Path("/s/trailkeeper/a-..-b-c")
    assert default_journal("..", {"XDG_STATE_HOME": "/s"}) == Path("/s/trailkeeper/default")


def test_configure_takes_every_setting() -> None:
    assert set(signature(trailkeeper.configure).parameters) == {item.name for item in fields(Settings)}


def test_the_readme_documents_every_setting() -> None:
    rows = [
        f"| `{item.name}` | `{item.metadata['variable']}` | {'' if item.default is None else f'`{item.default}`'} "
        f"| {item.metadata['doc']} |"
        for item in fields(Settings)
    ]

    text = README.read_text()
    assert [row for row in rows if row not in text] == []


def test_importing_pulls_in_no_framework_no_server_and_no_network() -> None:
    program = (
        "import sys, structlog; before = set(sys.modules); import trailkeeper;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    unwanted = {"pydantic", "fastapi", "starlette", "flask", "opensearchpy", "orjson", "httpx", "http", "ssl", "email"}
    assert unwanted.isdisjoint(out)
    program = "import sys, trailkeeper; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"pydantic", "fastapi", "opensearchpy", "http.client"}.isdisjoint(loaded)


def test_the_errors_are_one_family() -> None:
    for error in ("ConfigurationError", "InvalidEventError", "DeliveryError", "RejectedError"):
        assert issubclass(getattr(trailkeeper, error), trailkeeper.TrailkeeperError)
    assert issubclass(trailkeeper.InvalidEventError, ValueError)
    assert issubclass(trailkeeper.RejectedError, trailkeeper.DeliveryError)


def test_the_readmes_python_runs(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block marked python, in order, in one namespace, as a reader would paste them."""
    import re

    monkeypatch.setenv("TRAILKEEPER_URL", ingest.url)
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    for name in [name for name in namespace if name.startswith("test_")]:
        namespace[name]()

    assert len(blocks) >= 6
    assert trailkeeper.flush(10)
    assert "api_key.create" in {event["action"] for event in ingest.events.values()}
