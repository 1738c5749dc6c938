"""What occurs under a query, counted by OpenSearch: exactly.

A `terms` aggregation over several shards is exact only where every shard gives all it has. Actions and resource types come
from a catalog, so 10,000 of each are asked for, and more is an error rather than a wrong number. Actors may be many:
those are counted by a composite aggregation, page by page, which is exact whatever there is.
"""

from collections.abc import Mapping
from typing import Any

from audit.errors import StoreUnavailable
from store.opensearch_engine import Engine
from store.protocol import ActorCount, Facets

_DISTINCT = 10_000
_BUCKETS = 5_000


def facets(engine: Engine, path: str, options: Mapping[str, str], matching: dict[str, Any], size: int) -> Facets:
    """Count actions, resource types and actors: exactly, largest first, ties by name, at most `size` of each."""
    fields = {"actions": "action", "resource_types": "resource.type"}
    wanted: dict[str, Any] = {name: {"terms": {"field": field, "size": _DISTINCT}} for name, field in fields.items()}
    actors: dict[tuple[str, str], int] = {}
    after: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    while True:
        sources = [
            {"type": {"terms": {"field": "actor.type", "missing_bucket": True}}},
            {"id": {"terms": {"field": "actor.id", "missing_bucket": True}}},
        ]
        wanted["actors"] = {"composite": {"size": _BUCKETS, "sources": sources, **after}}
        found = engine.json("POST", path, {"size": 0, "query": matching, "aggs": wanted}, params=options)
        if "aggregations" not in found:
            return Facets()  # there is no index yet
        answer = found["aggregations"] | {name: answer[name] for name in fields if name in answer}
        buckets = answer["actors"]["buckets"]
        for bucket in buckets:
            actors[(bucket["key"]["type"] or "", bucket["key"]["id"] or "")] = bucket["doc_count"]
        if len(buckets) < _BUCKETS:
            break
        after = {"after": answer["actors"]["after_key"]}
        wanted = {}
    top = sorted(actors.items(), key=lambda item: (-item[1], item[0]))[:size]
    latest = _latest(engine, path, options, matching, [key for key, _ in top])
    return Facets(
        _largest(answer["actions"], size),
        _largest(answer["resource_types"], size),
        tuple(
            ActorCount(key[0], key[1] or None, actor.get("name"), actor.get("email"), count)
            for (key, count), actor in zip(top, latest, strict=True)
        ),
    )


def _largest(answer: Mapping[str, Any], size: int) -> Mapping[str, int]:
    if answer["sum_other_doc_count"] or answer["doc_count_error_upper_bound"]:
        raise StoreUnavailable(
            f"There are more than {_DISTINCT:,} different actions or resource types, too many to count.",
            fix="Ask for a shorter time, or for fewer actions.",
        )
    counts = {bucket["key"]: bucket["doc_count"] for bucket in answer["buckets"]}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size])


def _latest(
    engine: Engine, path: str, options: Mapping[str, str], matching: dict[str, Any], keys: list[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Read what each actor was called in its latest event."""
    if not keys:
        return []
    each = {str(place): {"bool": {"filter": _is(*key)}} for place, key in enumerate(keys)}
    newest = {
        "top_hits": {
            "size": 1,
            "_source": ["actor.name", "actor.email"],
            "sort": [{"occurred_at": "desc"}, {"id": "desc"}],
        }
    }
    aggregation = {"filters": {"filters": each}, "aggs": {"newest": newest}}
    answer = engine.json("POST", path, {"size": 0, "query": matching, "aggs": {"actors": aggregation}}, params=options)
    buckets = answer["aggregations"]["actors"]["buckets"]
    found = [buckets[str(place)]["newest"]["hits"]["hits"] for place in range(len(keys))]
    return [hits[0]["_source"].get("actor", {}) if hits else {} for hits in found]


def _is(type: str, id: str) -> list[dict[str, Any]]:
    return [
        {"term": {field: value}} if value else {"bool": {"must_not": [{"exists": {"field": field}}]}}
        for field, value in (("actor.type", type), ("actor.id", id))
    ]
