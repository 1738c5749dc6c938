"""The service's own small documents, in an OpenSearch index beside the events.

Versions are the engine's own sequence numbers, so that two writers at once can't both win.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from audit.errors import Conflict
from store.opensearch_engine import Engine, path_of
from store.opensearch_errors import reason
from store.protocol import Record

INDEX = "trailkeeper-records"
_DEFINITION = {
    "settings": {"index.hidden": True, "index.number_of_shards": 1, "index.auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "kind": {"type": "keyword"},
            "id": {"type": "keyword"},
            # Kept, not searched: a record's content is nobody's field.
            "body": {"type": "object", "enabled": False},
        },
    },
}
_PAGE = 1000


class OpenSearchRecords:
    """Records in one hidden index, made when the first is written."""

    def __init__(self, engine: Engine, index: str = INDEX) -> None:
        self._engine = engine
        self._index = index
        self._ready = False

    def prepare(self) -> None:
        """Make the index where there is none; harmless when done again, or by several at once."""
        answer = self._engine.json("PUT", path_of(self._index), _DEFINITION, ignore=(400,))
        error = answer.get("error")
        if error is not None and error.get("type") != "resource_already_exists_exception":
            raise self._engine.not_ready(f"the index {self._index} can't be made, {reason(error)}")
        self._ready = True

    def get(self, kind: str, id: str) -> Record | None:
        """Return one, or None. Sees every write at once (a real-time get)."""
        answer = self._engine.json("GET", path_of(self._index, "_doc", _key(kind, id)), ignore=(404,))
        return _record(answer) if answer.get("found") else None

    def put(self, kind: str, id: str, body: Mapping[str, Any], *, version: str | None) -> Record:
        """Write one; raises Conflict where `version` is not what stands there."""
        if not self._ready:
            self.prepare()
        if version is None:
            condition = {"op_type": "create"}
        else:
            sequence, _, term = version.partition(".")
            if not (sequence.isdecimal() and term.isdecimal()):
                raise _changed(kind, id)  # a version of another engine's
            condition = {"if_seq_no": sequence, "if_primary_term": term}
        answer = self._engine.json(
            "PUT",
            path_of(self._index, "_doc", _key(kind, id)),
            {"kind": kind, "id": id, "body": body},
            ignore=(409,),
            params={"refresh": "true", **condition},  # `list` must see it
        )
        if "error" in answer:
            raise _changed(kind, id)
        return Record(id, orjson.loads(orjson.dumps(body)), _version(answer))

    def delete(self, kind: str, id: str) -> None:
        """Remove one; nothing happens where there is none."""
        self._engine.text(
            "DELETE", path_of(self._index, "_doc", _key(kind, id)), ignore=(404,), params={"refresh": "true"}
        )

    def list(self, kind: str) -> Sequence[Record]:
        """Return all of a kind, by id."""
        records: list[Record] = []
        after: dict[str, Any] = {}
        while True:
            answer = self._engine.json(
                "POST",
                path_of(self._index, "_search"),
                {
                    "query": {"bool": {"filter": [{"term": {"kind": kind}}]}},
                    "sort": [{"id": "asc"}],
                    "size": _PAGE,
                    "seq_no_primary_term": True,
                    **after,
                },
                ignore=(404,),
                params={"allow_partial_search_results": "false"},
            )
            if "error" in answer:
                return records  # nothing was ever written
            found = answer["hits"]["hits"]
            records += map(_record, found)
            if len(found) < _PAGE:
                return records
            after = {"search_after": found[-1]["sort"]}


def _record(answer: Mapping[str, Any]) -> Record:
    return Record(answer["_source"]["id"], answer["_source"]["body"], _version(answer))


def _version(answer: Mapping[str, Any]) -> str:
    return f"{answer['_seq_no']}.{answer['_primary_term']}"


def _key(kind: str, id: str) -> str:
    """A document's `_id`: readable, and within the engine's 512 bytes."""
    key = f"{kind}:{id}"
    return key if len(key.encode()) <= 512 else f"{kind}#{hashlib.sha256(id.encode()).hexdigest()}"


def _changed(kind: str, id: str) -> Conflict:
    return Conflict(
        f"The {kind} {id!r} was changed by somebody else meanwhile.",
        fix="Read it again, and write with its version.",
    )
