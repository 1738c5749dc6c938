"""The parameters there are, in one table: `parsing` reads URLs by it, and OpenAPI is written from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.event import ACTION_PATTERN, RESOURCE_TYPE_PATTERN, Outcome

VALUES = 100
"""How often one parameter may be repeated."""
DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name in the URL, its field in the Query, and what to tell about it."""

    name: str
    query_field: str | None
    description: str
    example: object
    fix: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "minLength": 1, "maxLength": 512})
    repeatable: bool = False

    def documented(self) -> dict[str, Any]:
        """Write the OpenAPI Parameter Object."""
        schema = {"type": "array", "maxItems": VALUES, "items": self.schema} if self.repeatable else self.schema
        again = " May be repeated: any of the values." if self.repeatable else ""
        return {
            "name": self.name,
            "in": "query",
            "required": False,
            "description": self.description + again,
            "schema": schema,
            **({"style": "form", "explode": True} if self.repeatable else {}),
            "example": self.example,
        }


_instant = {"type": "string", "format": "date-time"}
_instant_fix = "Write it like 2026-11-23T10:00:00Z; in a URL the + of an offset is %2B."

FILTERS = (
    Parameter(
        "action",
        "actions",
        "The action, as in the catalog.",
        ["api_key.create"],
        "Name actions like api_key.create: dotted lower case.",
        {"type": "string", "pattern": ACTION_PATTERN, "maxLength": 128},
        repeatable=True,
    ),
    Parameter(
        "resource_type",
        "resource_types",
        "The type of the resource it was done to.",
        ["api_key"],
        "Name types like api_key: lower case with underscores.",
        {"type": "string", "pattern": RESOURCE_TYPE_PATTERN, "maxLength": 128},
        repeatable=True,
    ),
    Parameter(
        "resource_id",
        "resource_ids",
        "The id of the resource it was done to.",
        ["key_1"],
        "Give the whole id, or leave it out.",
        repeatable=True,
    ),
    Parameter(
        "actor",
        "actors",
        "Who did it: the actor's id, email or name, the whole of it.",
        ["ada@example.com"],
        "Give the whole id, email or name, or leave it out.",
        repeatable=True,
    ),
    Parameter(
        "outcome",
        "outcomes",
        "How it ended.",
        ["denied"],
        "Ask for success, failure or denied.",
        {"type": "string", "enum": [str(outcome) for outcome in Outcome]},
        repeatable=True,
    ),
    Parameter("from", "since", "At this instant or later.", "2026-11-01T00:00:00Z", _instant_fix, _instant),
    Parameter("to", "until", "Before this instant.", "2026-11-08T00:00:00Z", _instant_fix, _instant),
)
PAGING = (
    Parameter(
        "order",
        "order",
        "`desc`: newest first; `asc`: oldest first. Ties go by id.",
        "desc",
        "Ask for desc or asc.",
        {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
    ),
    Parameter(
        "limit",
        None,
        "How many events a page has, at most; up to 1,000, or what the deployment set (TRAILKEEPER_PAGE_LIMIT).",
        50,
        "Ask for a whole number in that range.",
        {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
    ),
    Parameter(
        "cursor",
        None,
        "`next_cursor` of the page before, with the same filters and order.",
        "AWd3…",
        "Take next_cursor of the page before.",
        {"type": "string"},
    ),
)
LISTING = FILTERS + PAGING
