"""Whatever is asked, both engines answer as a plain list comprehension over the same events does."""

import random
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.instants import from_ms
from audit.query import Query
from store.protocol import Store
from tests.store.trail import (
    ACTIONS,
    INSTANTS,
    OUTCOMES,
    RESOURCE_IDS,
    RESOURCE_TYPES,
    Sent,
    an_organization,
    bodies,
    facets_of,
    matching,
    random_event,
    sent,
    walk,
)

_WORDS = ("u_1", "u_2", "Ada", "Ada Lovelace", "ada@example.com", "ci", "billing", "Zoë 🦊", "nobody", "ada")
_bounds = st.none() | st.builds(
    lambda instant, off: from_ms(instant + off), st.sampled_from(INSTANTS), st.sampled_from((-1, 0, 1))
)


def _some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.just(()) | st.lists(st.sampled_from(values), max_size=3).map(tuple)


def _forward(fields: dict[str, object]) -> dict[str, object]:
    since, until = fields["since"], fields["until"]
    if isinstance(since, datetime) and isinstance(until, datetime) and since > until:
        fields |= {"since": until, "until": since}
    return fields


questions = st.fixed_dictionaries(
    {
        "actions": _some((*ACTIONS, "project.delete")),
        "resource_types": _some(RESOURCE_TYPES),
        "resource_ids": _some((*(id for id in RESOURCE_IDS if id is not None), "r_9")),
        "actors": _some(_WORDS),
        "outcomes": _some(OUTCOMES),
        "since": _bounds,
        "until": _bounds,
        "visible_from": _bounds,
        "order": st.sampled_from(("desc", "asc")),
    }
).map(_forward)


@settings(max_examples=120, deadline=None)
@given(question=questions, limit=st.integers(1, 60), of=st.integers(0, 2))
def test_every_query_over_one_trail(
    store: Store, trail: list[Sent], question: dict[str, object], limit: int, of: int
) -> None:
    """Pages, count and facets of one query; page edges fall between events of the same millisecond."""
    organizations = sorted({each.document.organization_id for each in trail})
    query = Query.model_validate({"organization_id": organizations[of], **question})
    expected = matching(trail, query)
    page = store.search(query, limit=limit)
    assert list(page.items) == bodies(expected[:limit])
    assert (page.next is None) == (len(expected) <= limit)
    assert store.count(query) == len(expected)
    assert store.facets(query, size=3) == facets_of(expected, 3)


@settings(max_examples=25, deadline=None)
@given(question=questions, limit=st.integers(7, 40))
def test_every_walk_gives_each_event_once_and_in_order(
    store: Store, trail: list[Sent], question: dict[str, object], limit: int
) -> None:
    query = Query.model_validate({"organization_id": trail[0].document.organization_id, **question})
    assert walk(store, query, limit) == bodies(matching(trail, query))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(0, 40), question=questions)
def test_every_trail(store: Store, retention: str, seed: int, size: int, question: dict[str, object]) -> None:
    """Trails of any size, from none at all."""
    chance = random.Random(seed)
    organization = an_organization()
    events = [sent(random_event(organization, chance), retention, number) for number in range(size)]
    written = store.write([each.document for each in events], searchable=True)
    assert [result.outcome for result in written] == ["created"] * size
    for fields in ({}, question):
        query = Query.model_validate({"organization_id": organization, **fields})
        expected = matching(events, query)
        assert walk(store, query, 5) == bodies(expected)
        assert store.count(query) == len(expected)
        assert store.facets(query, size=100) == facets_of(expected, 100)
