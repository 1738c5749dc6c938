"""The server's default limits, looked at where a developer is looking: in capture_audit.

They are settings of the server, so the deliveries leave them to it; a test should not have to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trailkeeper.errors import InvalidEventError

EVENT_BYTES = 64 * 1024
LEAF_BYTES = 8 * 1024
DEPTH = 8


def check_limits(event: Mapping[str, Any], line: bytes) -> None:
    """Raise InvalidEventError where a server with default limits would reject the event."""
    if len(line) > EVENT_BYTES:
        raise InvalidEventError(
            "details",
            f"make an event of {len(line):,} bytes.",
            f"At most {EVENT_BYTES:,}: keep large content elsewhere.",
        )
    for path, value, depth in _leaves(event.get("details", {}), "details", 1):
        if depth > DEPTH:
            raise InvalidEventError("details", f"are nested more than {DEPTH} levels deep.", "Flatten them.")
        size = len(path.encode()) + len(str(value).encode())
        if size > LEAF_BYTES:
            raise InvalidEventError(
                f"{path:.200}", f"has {size:,} bytes with its path.", f"At most {LEAF_BYTES:,}: shorten it."
            )


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    if depth <= DEPTH and value and isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        for key, item in steps:
            below = path if key is None else f"{path}.{key}"
            yield from _leaves(item, below, depth + isinstance(item, dict | list))
    else:
        yield path, "" if isinstance(value, dict | list) else value, depth
