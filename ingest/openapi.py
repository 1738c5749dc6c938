"""What the OpenAPI document says of `POST /v1/events`: plain ASGI has no signature that FastAPI could read."""

from typing import Any

from audit.event import Event

_PROBLEMS = {
    400: "The body can't be read: not JSON, or packed badly.",
    401: "No ingest key, or one that doesn't hold.",
    403: "A key that reads, or one for another organization.",
    409: "One event was sent, and another one with its id is stored.",
    413: "More bytes or events than a request may have.",
    415: "A content type or encoding that isn't read here.",
    422: "One event was sent, and it isn't valid. In a batch, such an event is rejected alone.",
    503: "Too much is waiting; nothing was taken. Retry-After says when to come back.",
    507: "The disk is full; nothing was taken.",
}


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Describe the endpoint (OpenAPI 3.1)."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    event = Event.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, schema in event.pop("$defs", {}).items():
        schemas.setdefault(name, schema)
    # Ingest makes what is missing of these two.
    event["required"] = [name for name in event["required"] if name not in ("id", "occurred_at")]
    schemas.setdefault("Event", event)
    schemas.setdefault("Problem", _PROBLEM)
    schemas["IngestResult"] = _RESULT
    one = {"$ref": "#/components/schemas/Event"}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "operationId": "emit_events",
        "summary": "Put events on the trail",
        "description": "One event, an array, or NDJSON; plain, gzip or zstd. Committed to disk before it is answered.",
        "tags": ["ingest"],
        "security": [{"bearer": []}],
        "parameters": [
            {
                "name": "ack",
                "in": "query",
                "description": "What to wait for: the commit, the engine's word, or that a search finds them.",
                "schema": {"enum": ["committed", "indexed", "searchable"], "default": "committed"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [one, {"type": "array", "items": one, "minItems": 1}]}},
                "application/x-ndjson": {"schema": {"type": "string", "description": "One event a line."}},
            },
        },
        "responses": {
            "202": {
                "description": "What became of each event, in order.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IngestResult"}}},
            },
            **{str(status): {"description": text, "content": problem} for status, text in _PROBLEMS.items()},
        },
    }


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "limit": {},
        "fix": {"type": "string"},
    },
}
_RESULT = {
    "type": "object",
    "required": ["results", "accepted", "duplicate", "rejected"],
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "status"],
                "properties": {
                    "id": {"type": ["string", "null"]},
                    "status": {"enum": ["accepted", "duplicate", "rejected"]},
                    "problem": {"$ref": "#/components/schemas/Problem"},
                },
            },
        },
        "accepted": {"type": "integer"},
        "duplicate": {"type": "integer"},
        "rejected": {"type": "integer"},
    },
}
