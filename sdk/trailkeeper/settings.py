"""The settings: one table, each with its environment variable, its default and what it is for.

`configure()` takes them by name; what it is not given comes from the environment, then from the default.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from trailkeeper.errors import ConfigurationError

DELIVERIES = ("journal", "wait", "strict")


def _setting(variable: str, doc: str, default: Any = None) -> Any:
    return field(default=default, metadata={"variable": variable, "doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `configure()` was told, checked."""

    url: str | None = _setting("TRAILKEEPER_URL", "Base address of ingest. Without it events stay in the journal.")
    key: str | None = _setting(
        "TRAILKEEPER_INGEST_KEY", "Ingest key. TRAILKEEPER_INGEST_KEY_FILE names a file that holds it."
    )
    source: str | None = _setting("TRAILKEEPER_SOURCE", "Name of this application, on every event it emits.")
    delivery: str = _setting("TRAILKEEPER_DELIVERY", "`journal`, `wait` or `strict`; see Deliveries.", "journal")
    timeout: float = _setting("TRAILKEEPER_TIMEOUT", "Seconds that `wait` and `strict` wait for ingest.", 5.0)
    journal: Path = _setting(  # noqa: RUF009 - it is dataclasses.field()
        "TRAILKEEPER_JOURNAL",
        "Folder of the journal, on a local disk. "
        "Default: `$XDG_STATE_HOME/trailkeeper/<source>`, else `~/.local/state/trailkeeper/<source>`.",
    )
    journal_max_bytes: int = _setting(
        "TRAILKEEPER_JOURNAL_MAX_BYTES",
        "Bytes that the journal may take; past it the oldest segment is dropped, counted and reported.",
        256 * 1024 * 1024,
    )
    journal_segment_bytes: int = _setting(
        "TRAILKEEPER_JOURNAL_SEGMENT_BYTES",
        "Bytes after which a new segment is begun; never more than an eighth of the bound.",
        8 * 1024 * 1024,
    )
    journal_fsync: bool = _setting(
        "TRAILKEEPER_JOURNAL_FSYNC", "Sync every event to the disk: survives power loss, costs milliseconds.", False
    )
    ship_interval: float = _setting(
        "TRAILKEEPER_SHIP_INTERVAL", "Seconds between two looks of the background thread at the journal.", 0.2
    )


def read_settings(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Put settings together from what was given, the environment and the defaults. Raises ConfigurationError."""
    known = {item.name: item for item in fields(Settings)}
    values: dict[str, Any] = {}
    for name, item in known.items():
        variable = item.metadata["variable"]
        value = given.get(name)
        if value is None:
            value = environ.get(variable) or None
        if value is None and name == "key":
            value = _read_key_file(environ)
        if value is None:
            value = _default(item)
        values[name] = _convert(name, variable, value)
    if values["journal"] is None:
        values["journal"] = default_journal(values["source"], environ)
    values["journal_segment_bytes"] = min(values["journal_segment_bytes"], max(4096, values["journal_max_bytes"] // 8))
    settings = Settings(**values)
    if settings.delivery in ("wait", "strict") and not settings.url:
        raise ConfigurationError(
            f'delivery="{settings.delivery}" asks ingest, and its address is not known: set TRAILKEEPER_URL or pass url=….'
        )
    return settings


def default_journal(source: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Give the folder that is used where none is set: of this user, and of this source."""
    name = re.sub(r"[^\w.-]+", "-", source or "").strip(".-") or "default"
    if state := environ.get("XDG_STATE_HOME"):
        return Path(state) / "trailkeeper" / name
    try:
        return Path.home() / ".local" / "state" / "trailkeeper" / name
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"trailkeeper-{os.getuid()}" / name


def _default(item: Field[Any]) -> Any:
    return None if item.default is MISSING else item.default


def _read_key_file(environ: Mapping[str, str]) -> str | None:
    if not (name := environ.get("TRAILKEEPER_INGEST_KEY_FILE")):
        return None
    try:
        return Path(name).read_text().strip() or None
    except OSError as error:
        raise ConfigurationError(f"TRAILKEEPER_INGEST_KEY_FILE: {name} cannot be read: {error.strerror}.") from error


def _convert(name: str, variable: str, value: Any) -> Any:
    try:
        match name:
            case "timeout" | "ship_interval":
                return _positive(float(value))
            case "journal_max_bytes" | "journal_segment_bytes":
                return _positive(int(value))
            case "journal_fsync":
                return (
                    value if isinstance(value, bool) else {"1": True, "true": True, "0": False, "false": False}[value]
                )
            case "journal":
                return None if value is None else Path(value).expanduser().absolute()
            case "delivery":
                return DELIVERIES[DELIVERIES.index(value)]
    except (ValueError, TypeError, KeyError):
        forms = {
            "delivery": "one of journal, wait, strict",
            "journal_fsync": "one of 1, true, 0, false",
            "journal": "the path of a folder",
        }
        raise ConfigurationError(
            f"{name} ({variable}) is {value!r}: it is {forms.get(name, 'a number greater than 0')}."
        ) from None
    return None if value is None else str(value)


def _positive(number: Any) -> Any:
    if not 0 < number < float("inf"):
        raise ValueError
    return number
