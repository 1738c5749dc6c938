"""From a query to SQL, with the index chosen here rather than guessed: SQLite keeps no statistics of a moving trail.

A page is read day by day (`days` knows an organization's), and within a day in the order of one index, (day, organization,
FIELD, time, id). Where a filter has several values there is one SELECT for each, and SQLite merges them in order (UNION ALL
with ORDER BY over sorted parts): nothing is sorted, and a page costs what a page holds, however long the trail.
tests/store/test_sqlite_plans.py holds the plans to that.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw
import orjson

from audit.instants import DAY_MS, to_ms
from audit.query import Query
from store.protocol import Position
from store.sqlite_rows import OUTCOMES, id_bytes, resource_key

# More values than this are rather "most events" than a selection: then the trail is read by time and filtered.
_MERGED_AT_MOST = 24
# Where counting what a filter finds ends: beyond it, it is wide.
_WIDE = 1000


class _Filter(NamedTuple):
    """One field, the values it may have, and the index that has them in order."""

    column: str
    values: Sequence[int]
    ordered_by: str

    @property
    def mergeable(self) -> bool:
        """Whether its index can give a page in order."""
        return bool(self.ordered_by) and len(self.values) <= _MERGED_AT_MOST

    @property
    def indexed(self) -> str:
        """What a partial index leaves out, ruled out in the statement, or SQLite may not use it."""
        return {"outcome": " AND outcome > 0", "resource": " AND resource IS NOT NULL"}.get(self.column, "")


class Selection(NamedTuple):
    """What a query means in this file: the numbers of its texts, and its bounds in milliseconds.

    A resource's key may stand for another id too, so `resource_ids` are looked for in the body besides.
    """

    organization: int
    filters: tuple[_Filter, ...]
    resource_ids: tuple[str, ...]
    since: int | None
    until: int | None
    descending: bool

    def page(self, limit: int, after: Position | None) -> tuple[str, list[Any]]:
        """SQL for (body, day, time, id) of up to `limit` events behind `after`."""
        driving = self._driving()
        bounds, bound_values = self._page_bounds(after)
        order = "DESC" if self.descending else "ASC"
        parts: list[str] = []
        values: list[Any] = []
        for value in driving.values if driving else (None,):
            where, where_values = self._where(driving, value)
            index = driving.ordered_by if driving else "by_time"
            parts.append(f"SELECT body, day, time, id FROM {_events(index)} WHERE {where}{bounds}")  # noqa: S608 no input
            values += [*where_values, *bound_values]
        union = " UNION ALL ".join(parts)
        return f"{union} ORDER BY day {order}, time {order}, id {order} LIMIT ?", [*values, limit]

    def counted(self, by: str | None = None, unfiltered_index: str = "by_time") -> tuple[str, list[Any]]:
        """SQL for the number of events, or with `by` for (value, number) of each value of a column."""
        driving = self._driving()
        index = driving.ordered_by if driving else unfiltered_index
        where, values = self._where(None, None)
        if driving is not None:
            where += driving.indexed
        bounds, bound_values = self._page_bounds(None)
        column, group = (f"{by}, ", f" GROUP BY {by}") if by else ("", "")
        sql = f"SELECT {column}count(*) FROM {_events(index)} WHERE {where}{bounds}{group}"  # noqa: S608 no input
        return sql, [*values, *bound_values]

    def narrowed(self, column: str, values: Sequence[int], index: str) -> "Selection":
        """The same with one more filter, in the place of one on the same column."""
        kept = tuple(each for each in self.filters if each.column != column)
        return self._replace(filters=(_Filter(column, values, index), *kept))

    def _driving(self) -> _Filter | None:
        return next((each for each in self.filters if each.mergeable), None)

    def _where(self, driving: _Filter | None, value: int | None) -> tuple[str, list[Any]]:
        where = "organization = ?"
        values: list[Any] = [self.organization]
        if driving is not None:
            where += f" AND {driving.column} = ?"
            values.append(value)
            where += driving.indexed
        for column, allowed, _ in self.filters:
            if driving is None or column != driving.column:
                where += f" AND {column} IN (SELECT value FROM json_each(?))"  # noqa: S608 no input
                values.append(orjson.dumps(allowed).decode())
        if self.resource_ids:
            where += " AND CAST(body AS TEXT) ->> '$.resource.id' IN (SELECT value FROM json_each(?))"
            values.append(orjson.dumps(self.resource_ids).decode())
        return where, values

    def _page_bounds(self, after: Position | None) -> tuple[str, list[Any]]:
        """The bounds of a page, as days and, on the first and the last of them, places to enter and leave the index at."""
        behind = None if after is None else (*divmod(after.occurred_at, DAY_MS), id_bytes(after.id))
        # No id is smaller than the empty one: before (until, '') is before until.
        since = None if self.since is None else (*divmod(self.since, DAY_MS), b"")
        until = None if self.until is None else (*divmod(self.until, DAY_MS), b"")
        where = ""
        values: list[Any] = []
        if self.descending:
            first, last = since, min((end for end in (behind, until) if end is not None), default=None)
        else:
            first, last = max((end for end in (behind, since) if end is not None), default=None), until
        if first is not None:
            sign = ">=" if self.descending else ">"
            where += f" AND day >= ? AND (time, id) {sign} (iif(day = ?, ?, -1), iif(day = ?, ?, x''))"
            values += [first[0], first[0], first[1], first[0], first[2]]
        if last is not None:
            where += f" AND day <= ? AND (time, id) < (iif(day = ?, ?, {DAY_MS}), iif(day = ?, ?, x''))"
            values += [last[0], last[0], last[1], last[0], last[2]]
        return where, values


def _events(index: str) -> str:
    """Events by way of an organization's days: CROSS JOIN keeps SQLite to that order."""
    return f"days CROSS JOIN events INDEXED BY {index} USING (day, organization)"


def select(connection: apsw.Connection, query: Query) -> Selection | None:
    """Look a query's texts up; None where one of them never occurred, so that nothing can match.

    The narrowest filter comes first, and its index is the one that is read; where all are wide they stand in the order in
    which they usually narrow: one resource, one person, some actions, what failed.
    """
    organization = connection.execute(
        "SELECT organization FROM organizations WHERE id = ?", (query.organization_id,)
    ).get
    if organization is None:
        return None
    filters: list[_Filter] = []
    if query.resource_ids:
        keys = sorted({resource_key(id.encode()) for id in query.resource_ids})
        filters.append(_Filter("resource", keys, "by_resource"))
    if query.actors:
        filters.append(_Filter("actor", _actors(connection, organization, query.actors), "by_actor"))
    if query.actions or query.resource_types:
        filters.append(_Filter("kind", _kinds(connection, organization, query), "by_kind"))
    if query.outcomes:
        outcomes = sorted({OUTCOMES[outcome] for outcome in query.outcomes})
        filters.append(_Filter("outcome", outcomes, "" if 0 in outcomes else "by_outcome"))
    if not all(each.values for each in filters):
        return None
    if sum(each.mergeable for each in filters) > 1:
        filters.sort(key=lambda each: _about(connection, organization, each))
    return Selection(
        organization,
        tuple(filters),
        query.resource_ids,
        None if query.earliest is None else to_ms(query.earliest),
        None if query.until is None else to_ms(query.until),
        query.order == "desc",
    )


def _about(connection: apsw.Connection, organization: int, each: _Filter) -> int:
    """Count what one filter alone would find, up to 1,000: cheap beside reading the wrong index."""
    if not each.mergeable:
        return _WIDE
    sql = (
        f"SELECT count(*) FROM (SELECT 1 FROM {_events(each.ordered_by)} WHERE organization = ?"  # noqa: S608 no input
        f" AND {each.column} IN (SELECT value FROM json_each(?)){each.indexed} LIMIT ?)"
    )
    return int(connection.execute(sql, (organization, orjson.dumps(each.values).decode(), _WIDE)).get)


def _actors(connection: apsw.Connection, organization: int, words: Sequence[str]) -> list[int]:
    """Number the actors whose id, name or email is one of the words."""
    given = orjson.dumps(words).decode()
    rows = connection.execute(
        " UNION ".join(
            f"SELECT actor FROM actors WHERE organization = ?1 AND {column} IN (SELECT value FROM json_each(?2))"  # noqa: S608
            for column in ("id", "name", "email")
        ),
        (organization, given),
    )
    return [actor for (actor,) in rows]


def _kinds(connection: apsw.Connection, organization: int, query: Query) -> list[int]:
    rows = connection.execute(
        "SELECT kind FROM kinds WHERE organization = ?1"
        " AND (?2 = '[]' OR action IN (SELECT value FROM json_each(?2)))"
        " AND (?3 = '[]' OR resource_type IN (SELECT value FROM json_each(?3)))",
        (organization, orjson.dumps(query.actions).decode(), orjson.dumps(query.resource_types).decode()),
    )
    return [kind for (kind,) in rows]
