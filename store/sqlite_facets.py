"""What occurs under a query, counted in SQLite."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import apsw
import orjson

from store.protocol import ActorCount, Facets
from store.sqlite_query import Selection


def facets(connection: apsw.Connection, selection: Selection, size: int) -> Facets:
    """Count actions, resource types and actors: exactly, largest first, ties by name, at most `size` of each."""
    actions: Counter[str] = Counter()
    resource_types: Counter[str] = Counter()
    kinds: Any = connection.execute(*selection.counted("kind", "by_kind")).fetchall()
    for kind, count in kinds:
        action, resource_type = connection.execute(
            "SELECT action, resource_type FROM kinds WHERE kind = ?", (kind,)
        ).get
        actions[action] += count
        if resource_type:
            resource_types[resource_type] += count
    return Facets(_largest(actions, size), _largest(resource_types, size), _actors(connection, selection, size))


def _largest(counts: Mapping[str, int], size: int) -> Mapping[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size])


def _actors(connection: apsw.Connection, selection: Selection, size: int) -> tuple[ActorCount, ...]:
    """Count actors by type and id; the same id may have had several names, which are several rows of `actors`."""
    counts: Counter[tuple[str, str]] = Counter()
    rows: dict[tuple[str, str], list[int]] = {}
    actors: Any = connection.execute(*selection.counted("actor", "by_actor")).fetchall()
    for actor, count in actors:
        key = connection.execute("SELECT type, id FROM actors WHERE actor = ?", (actor,)).get
        counts[key] += count
        rows.setdefault(key, []).append(actor)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size]
    return tuple(_latest(connection, selection, rows[key], count) for key, count in top)


def _latest(connection: apsw.Connection, selection: Selection, actors: list[int], count: int) -> ActorCount:
    latest = actors[0]
    if len(actors) > 1:
        newest = selection.narrowed("actor", actors, "by_actor")._replace(descending=True)
        body: Any = connection.execute(*newest.page(1, None)).get[0]
        actor = orjson.loads(body)["actor"]
        return ActorCount(actor.get("type", ""), actor.get("id"), actor.get("name"), actor.get("email"), count)
    type, id, name, email = connection.execute(
        "SELECT type, id, name, email FROM actors WHERE actor = ?", (latest,)
    ).get
    return ActorCount(type, id or None, name or None, email or None, count)
