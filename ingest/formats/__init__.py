"""Records of other systems, turned into events: one module a format, each a function from a record to an event's fields.

An imported record keeps its identity: its id is derived from the names it has where it came from, so that importing a file
again finds every event stored already.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ingest.formats import cloudtrail

Convert = Callable[[Mapping[str, Any], str], dict[str, Any]]


def _as_is(record: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Take an event in Trailkeeper's own form; it needs no more than the organization, where it names none."""
    return {"organization_id": organization_id, **record}


FORMATS: Mapping[str, Convert] = {"ndjson": _as_is, "cloudtrail": cloudtrail.convert}
