"""The distributed engine: events in OpenSearch, one index a UTC day and retention class, and records beside them.

The engine does everything that is hard about many machines; this file only says what to ask. Indices come from
`open_day` (lifecycle/), mappings from index_templates/.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from opensearchpy import OpenSearch

from audit.instants import from_ms
from audit.query import Query
from store.names import PATTERN, day_index, parse_day_index
from store.opensearch_bulk import Bulk, DayOpener
from store.opensearch_engine import Engine, Hit, hits, path_of, sources
from store.opensearch_facets import facets
from store.opensearch_query import filters, order_of, visible, widening, within
from store.opensearch_records import OpenSearchRecords
from store.protocol import DayPartition, Document, Facets, Page, Position, Records, Written

# Half of OpenSearch's result window (index.max_result_window), for pages and one event more.
_AT_ONCE = 5_000
# A path may have 4 KiB (http.max_initial_line_length): more names than fit become patterns.
_PATH_BYTES = 3_000
_SHARDS = {"ignore_unavailable": "true", "allow_no_indices": "true", "expand_wildcards": "open"}
_WHOLE = {**_SHARDS, "allow_partial_search_results": "false"}


class OpenSearchStore:
    """A `Store`, with `Records` beside it. Safe for many threads; what the client may, this may.

    `open_day` makes a day's index before its first event. `forget_day` tells it that the index was found missing.
    """

    def __init__(self, client: OpenSearch, *, open_day: DayOpener, forget_day: DayOpener | None = None) -> None:
        self.client = client
        self._engine = Engine(client)
        self._bulk = Bulk(self._engine, open_day, forget_day)
        self._forget_day = forget_day
        self._records = OpenSearchRecords(self._engine)

    @property
    def records(self) -> Records:
        """The service's own documents, in the index trailkeeper-records."""
        return self._records

    def prepare(self) -> None:
        """Make the index of the records. Day indices are made one by one, templates by `trailkeeper setup`."""
        self._records.prepare()

    def check(self) -> None:
        """Return if the cluster answers and can serve (yellow or better). Raises StoreUnavailable."""
        health = self._engine.json("GET", "/_cluster/health")
        if health["status"] == "red":
            raise self._engine.not_ready("its health is red: some data can't be reached")

    def write(self, documents: Sequence[Document], *, searchable: bool = False) -> Sequence[Written]:
        """Write each to its day's index; `searchable` costs a refresh of those indices."""
        return self._bulk.write(documents, searchable=searchable)

    def search(self, query: Query, *, limit: int, after: Position | None = None) -> Page:
        """Return a page. Only days that can hold it are asked, newest (or oldest) first, until it is full."""
        found = list(self._walk(query, limit + 1, after))
        more = len(found) > limit
        items = found[:limit]
        following = Position(items[-1].occurred_at, items[-1].id) if more and items else None
        return Page([hit.body for hit in items], following)

    def get(self, query: Query, id: str) -> bytes | None:
        """Return one event that the query's organization may see, or None."""
        answer = self._engine.text(
            "POST", path_of(PATTERN, "_search"), {"query": visible(query, id.lower()), "size": 1}, params=_WHOLE
        )
        return next(sources(answer), None)

    def count(self, query: Query) -> int:
        """Count the events that match, exactly."""
        answer = self._engine.json(
            "POST",
            path_of(PATTERN, "_search"),
            {"query": filters(query), "size": 0, "track_total_hits": True},
            params=_WHOLE,
        )
        return int(answer["hits"]["total"]["value"])

    def facets(self, query: Query, *, size: int) -> Facets:
        """Count what occurs under a query."""
        return facets(self._engine, path_of(PATTERN, "_search"), _WHOLE, filters(query), size)

    def days(self) -> Sequence[DayPartition]:
        """List the days that are held, oldest first, with what they take on disk, copies included."""
        rows = self._engine.json(
            "GET",
            path_of("_cat", "indices", PATTERN),
            params={"format": "json", "h": "index,docs.count,store.size", "bytes": "b", "expand_wildcards": "open"},
        )
        days = []
        for row in rows:
            parsed = parse_day_index(row["index"])
            if parsed is not None:
                size = row["store.size"]
                days.append(
                    DayPartition(
                        *parsed, int(row["docs.count"] or 0), None if size is None else int(size), row["index"]
                    )
                )
        return sorted(days, key=lambda each: (each.day, each.retention))

    def delete_day(self, retention: str, day: date) -> int:
        """Delete the day's index; return how many events it held."""
        name = day_index(retention, day)
        self._engine.text("POST", path_of(name, "_refresh"), ignore=(404,))
        counted = self._engine.json("GET", path_of(name, "_count"), ignore=(404,))
        self._engine.text("DELETE", path_of(name), ignore=(404,))
        if self._forget_day is not None:
            self._forget_day(retention, day)
        return int(counted.get("count", 0))

    def close(self) -> None:
        """Close the client's connections."""
        self.client.close()

    def _walk(self, query: Query, wanted: int, after: Position | None) -> Iterator[Hit]:
        """Find up to `wanted` events, window by window."""
        descending = query.order == "desc"
        since, until = query.earliest, query.until
        if after is not None:
            reached = from_ms(after.occurred_at)
            if descending:
                until = reached + timedelta(milliseconds=1)
            else:
                since = reached
        days = within(self._names(), since, until)
        place = None if after is None else [after.occurred_at, after.id]
        for window in widening(days, newest_first=descending):
            while wanted > 0:
                size = min(wanted, _AT_ONCE)
                answer = self._engine.text(
                    "POST",
                    path_of(_joined(window), "_search"),
                    {
                        "query": filters(query),
                        "sort": order_of(query),
                        "size": size,
                        "track_total_hits": False,
                        **({} if place is None else {"search_after": place}),
                    },
                    params=_WHOLE,
                )
                found = list(hits(answer))
                yield from found
                wanted -= len(found)
                if len(found) < size:
                    break
                place = [found[-1].occurred_at, found[-1].id]

    def _names(self) -> list[str]:
        """Name the indices there are, from the cluster's state: a cheap call, and never out of date."""
        answer = self._engine.json("GET", path_of("_resolve", "index", PATTERN), params={"expand_wildcards": "open"})
        return [index["name"] for index in answer["indices"]]


def _joined(names: Sequence[str]) -> str:
    joined = ",".join(names)
    return joined if len(joined) <= _PATH_BYTES else PATTERN
