"""docker-compose.yml and .env.example as data."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}|(?P<other>))")


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables in as Compose does: `${A:?why}` raises KeyError where A is unset or empty, `$$` is one `$`."""

    def put(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if found["name"] is None:
            raise ValueError(f"a lone dollar sign in {found.string!r}")
        given = variables.get(found["name"], "")
        if not given and found["kind"] == "?":
            raise KeyError(f"{found['name']}: {found['word']}")
        return given or found["word"] or ""

    return _in_strings(value, lambda text: _VARIABLE.sub(put, text))


def variables_in(value: Any) -> list[tuple[str, str | None, str | None]]:
    """List every `${…}` as its name, `-` or `?` or None, and the word that follows."""
    found: list[tuple[str, str | None, str | None]] = []

    def note(text: str) -> str:
        found.extend((item["name"], item["kind"], item["word"]) for item in _VARIABLE.finditer(text) if item["name"])
        return text

    _in_strings(value, note)
    return found


def read_env(text: str) -> dict[str, str]:
    """Read NAME=VALUE lines."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def _in_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _in_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_strings(item, change) for item in value]
    return value


COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("trailkeeper:")}
EXAMPLE = read_env((ROOT / ".env.example").read_text("utf-8"))
