"""docker-compose.yml and .env.example as data, read without a YAML library: the tests have no other use for one.

Only what our file is written in is understood: nested mappings, lists of scalars, plain and quoted scalars, JSON in one
line, anchors on mappings and `<<` merges, comments on lines of their own. All else is refused aloud, never guessed at.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_KEY = re.compile(r"""(?P<key><<|[\w./-]+):(?:\s+(?P<rest>.*))?$""")
_ANCHOR = re.compile(r"&(\w[\w-]*)$")
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}|(?P<other>))")
_BARE = re.compile(r"[\w./$][^#]*$")


class NotUnderstood(Exception):
    """The file says something in a way that this reader does not know."""


def read_compose(text: str) -> dict[str, Any]:
    """Read a compose file's text. `${…}` stays as it is: see `interpolate`."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if "\t" in line or " #" in content:
            raise NotUnderstood(f"line {number}: {line}")
        if content and not content.startswith("#"):
            lines.append((len(line) - len(line.lstrip()), content))
    reader = _Reader(lines)
    value = reader.block(0)
    if reader.lines or not isinstance(value, dict):
        raise NotUnderstood(f"left over: {reader.lines[:1]}")
    return value


class _Reader:
    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self.lines = lines
        self._anchors: dict[str, Any] = {}

    def block(self, indent: int) -> Any:
        """Read the mapping or list whose lines begin at this column."""
        return self._list(indent) if self.lines[0][1].startswith("- ") else self._mapping(indent)

    def _list(self, indent: int) -> list[Any]:
        items = []
        while self.lines and self.lines[0][0] == indent:
            _, text = self.lines.pop(0)
            if not text.startswith("- "):
                raise NotUnderstood(text)
            items.append(_scalar(text[2:].strip()))
        return items

    def _mapping(self, indent: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        while self.lines and self.lines[0][0] == indent:
            _, text = self.lines.pop(0)
            found = _KEY.match(text)
            if found is None or found["key"] in own:
                raise NotUnderstood(text)
            key, rest = found["key"], found["rest"] or ""
            if key == "<<":
                merged |= self._anchors[rest.removeprefix("*")]
                continue
            anchor = _ANCHOR.match(rest)
            if rest and not anchor:
                own[key] = _scalar(rest)
            elif self.lines and self.lines[0][0] > indent:
                own[key] = self.block(self.lines[0][0])
            else:
                own[key] = None
            if anchor:
                self._anchors[anchor[1]] = own[key]
        return merged | own


def _scalar(text: str) -> Any:
    if text[0] in '"[{':
        return json.loads(text)
    if text[0] == "'" and text.endswith("'") and "'" not in text[1:-1]:
        return text[1:-1]
    if text in ("true", "false", "null"):
        return json.loads(text)
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    # Words that YAML 1.1 takes for something else, numbers with a point or a colon, and a mapping in a list.
    if re.fullmatch(r"(?i)yes|no|on|off|~|[\d.:_]*\d[\d.:_]*", text) or ": " in text or text.endswith(":"):
        raise NotUnderstood(text)
    if not (_BARE.match(text) or re.fullmatch(r"-[A-Z].*", text, re.IGNORECASE)):
        raise NotUnderstood(text)
    return text


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables in as Compose does: `${A:?why}` raises KeyError where A is unset or empty, `$$` is one `$`."""

    def put(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if found["name"] is None:
            raise NotUnderstood(found.string)
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


COMPOSE = read_compose((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("trailkeeper:")}
EXAMPLE = read_env((ROOT / ".env.example").read_text("utf-8"))
