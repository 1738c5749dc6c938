"""From a query to OpenSearch's DSL. Filter context only: nothing is scored, and what is asked often is cached."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from audit.instants import format_instant
from audit.query import Query
from store.names import parse_day_index

_TERMS = {"actions": "action", "resource_types": "resource.type", "resource_ids": "resource.id", "outcomes": "outcome"}
_ACTOR_FIELDS = ("actor.id", "actor.email", "actor.name")

# How many days a page without dates looks into, newest first, before it widens. A busy organization fills its page from the
# first two, and a quiet one is found in at most five requests over 90 days.
_WIDENING = (2, 6, 18)


def filters(query: Query) -> dict[str, Any]:
    """The query as a bool of filters."""
    clauses: list[dict[str, Any]] = [{"term": {"organization_id": query.organization_id}}]
    for name, field in _TERMS.items():
        if values := getattr(query, name):
            clauses.append({"terms": {field: values}})
    if query.actors:
        alternatives = [{"terms": {field: query.actors}} for field in _ACTOR_FIELDS]
        clauses.append({"bool": {"should": alternatives, "minimum_should_match": 1}})
    clauses += between(query.earliest, query.until)
    return {"bool": {"filter": clauses}}


def visible(query: Query, id: str) -> dict[str, Any]:
    """One event by id, under the query's organization and visibility alone."""
    clauses: list[dict[str, Any]] = [
        {"term": {"id": id}},
        {"term": {"organization_id": query.organization_id}},
        *between(query.visible_from, None),
    ]
    return {"bool": {"filter": clauses}}


def between(since: datetime | None, until: datetime | None) -> list[dict[str, Any]]:
    """A half-open range of time, as no clause or one."""
    bounds = {name: format_instant(bound) for name, bound in (("gte", since), ("lt", until)) if bound is not None}
    return [{"range": {"occurred_at": bounds}}] if bounds else []


def order_of(query: Query) -> list[dict[str, Any]]:
    """The order of a trail: time, then id."""
    return [{"occurred_at": {"order": query.order}}, {"id": {"order": query.order}}]


def within(names: Sequence[str], since: datetime | None, until: datetime | None) -> list[tuple[date, str]]:
    """The day indices among `names` that can hold events of a half-open range, with their days."""
    first = since.date() if since is not None else date.min
    last = (until - timedelta(microseconds=1)).date() if until is not None else date.max
    found = ((parsed[1], name) for name in names if (parsed := parse_day_index(name)) is not None)
    return sorted((day, name) for day, name in found if first <= day <= last)


def widening(days: Sequence[tuple[date, str]], *, newest_first: bool) -> list[list[str]]:
    """Split day indices into the windows that a page looks into, one after the other.

    A day is never split, so what one window holds comes wholly before what the next one holds.
    """
    by_day: dict[date, list[str]] = {}
    for day, name in sorted(days, reverse=newest_first):
        by_day.setdefault(day, []).append(name)
    each = list(by_day.values())
    windows: list[list[str]] = []
    for size in (*_WIDENING, len(each)):
        window, each = each[:size], each[size:]
        if window:
            windows.append([name for names in window for name in names])
    return windows
