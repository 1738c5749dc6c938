"""The templates as this cluster should have them: the JSON files, and what only the moment knows.

Kept apart from the loader, so that a test (or a person) can read what would be sent without a cluster.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from index_templates import AUDIT, MAPPINGS, SETTINGS, VERSION

Kind = Literal["component template", "index template"]


@dataclass(frozen=True, slots=True)
class Template:
    """One template, ready to be sent."""

    kind: Kind
    name: str
    body: Mapping[str, Any]


def wanted(*, replicas: str = "0-1", codec: str = "best_compression") -> list[Template]:
    """Make all three, in the order they have to be written: an index template's parts before itself.

    replicas: a number, or a range like `0-1` or `0-all`, by which the cluster fits the copies to its nodes.
    """
    settings = _read(f"{SETTINGS}.component.json")
    copies = "index.auto_expand_replicas" if "-" in replicas else "index.number_of_replicas"
    settings["template"]["settings"] |= {copies: replicas, "index.codec": codec}
    mappings = _read(f"{MAPPINGS}.component.json")
    # In the index too, so that each day tells which mapping it was made with.
    mappings["template"]["mappings"]["_meta"] = _meta()
    return [
        Template("component template", SETTINGS, settings | _versioned()),
        Template("component template", MAPPINGS, mappings | _versioned()),
        Template("index template", AUDIT, _read(f"{AUDIT}.index.json") | _versioned()),
    ]


def normal(body: Mapping[str, Any]) -> dict[str, Any]:
    """Write a template the way it can be compared: settings flat and as text, as the cluster keeps them.

    OpenSearch gives back `{"index": {"number_of_shards": "1"}}` for `{"index.number_of_shards": 1}` (observed on 3.6).
    """
    template = dict(body.get("template", {}))
    if "settings" in template:
        template["settings"] = _flat(template["settings"])
    return {**body, "template": template} if template else dict(body)


def _meta() -> dict[str, Any]:
    return {"trailkeeper": {"version": VERSION}}


def _versioned() -> dict[str, Any]:
    return {"version": VERSION, "_meta": _meta()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


@cache
def _text(name: str) -> str:
    return (files("index_templates") / "templates" / name).read_text("utf-8")


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_text(name))
    return document
