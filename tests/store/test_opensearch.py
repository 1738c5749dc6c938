"""What is OpenSearch's own: days made before their first event, never and not now told apart, and which days a page asks."""

from datetime import date

import pytest

from audit.errors import StoreUnavailable
from audit.instants import from_ms
from audit.query import Query
from index_templates import loader
from store.names import day_index
from store.opensearch import OpenSearchStore
from store.opensearch_engine import hits
from store.opensearch_query import widening, within
from store.protocol import Outcome
from tests.store.conftest import RetentionClasses
from tests.store.trail import DAY, NOON, an_event, an_organization, bodies, matching, sent, walk


@pytest.fixture(scope="module")
def store(on_opensearch: OpenSearchStore) -> OpenSearchStore:
    loader.prepare(on_opensearch.client)
    return on_opensearch


def test_a_day_is_opened_before_its_first_event_with_its_date(
    store: OpenSearchStore, classes: RetentionClasses
) -> None:
    mine = classes.another()
    organization = an_organization()
    store.write([sent(an_event(organization, NOON + day * DAY), mine).document for day in range(2)])
    settings = store.client.indices.get_settings(index=f"audit-{mine}-*")
    assert {name: value["settings"]["index"]["creation_date"] for name, value in settings.items()} == {
        day_index(mine, from_ms(NOON + day * DAY).date()): str(NOON + day * DAY + DAY // 2) for day in range(2)
    }


def test_a_day_that_vanished_is_opened_again(store: OpenSearchStore, classes: RetentionClasses) -> None:
    """Where the cluster makes no index by itself, as `setup` leaves it, a missing day answers 404 for the item."""
    mine = classes.another()
    organization = an_organization()
    first, second, other = (sent(an_event(organization, at), mine) for at in (NOON, NOON, NOON + DAY))
    store.write([first.document])
    store.client.cluster.put_settings(body={"persistent": {"action.auto_create_index": "-audit-*,+*"}})
    try:
        store.client.indices.delete(index=day_index(mine, date(2026, 11, 20)))
        results = store.write([second.document, other.document], searchable=True)
    finally:
        store.client.cluster.put_settings(body={"persistent": {"action.auto_create_index": None}})
    assert [result.outcome for result in results] == [Outcome.CREATED, Outcome.CREATED]
    assert walk(store, Query(organization_id=organization), 5) == bodies([other, second])


def test_a_blocked_index_is_not_now_and_a_mapping_error_is_never(
    store: OpenSearchStore, classes: RetentionClasses
) -> None:
    mine = classes.another()
    organization = an_organization()
    document = sent(an_event(organization), mine).document
    store.write([document])
    name = day_index(mine, date(2026, 11, 20))
    store.client.indices.put_settings(index=name, body={"index.blocks.write": True})
    try:
        (blocked,) = store.write([sent(an_event(organization), mine).document])
    finally:
        store.client.indices.put_settings(index=name, body={"index.blocks.write": None})
    assert blocked.outcome is Outcome.RETRY
    assert "index write (api)" in (blocked.error or "")
    unmapped = sent(an_event(organization, surprise=1), mine).document
    good = sent(an_event(organization), mine).document
    never, done = store.write([unmapped, good])
    assert (never.outcome, done.outcome) == (Outcome.REFUSED, Outcome.CREATED)
    assert "strict_dynamic_mapping_exception" in (never.error or "")


def test_a_day_that_cannot_be_opened_holds_up_only_its_own(store: OpenSearchStore, classes: RetentionClasses) -> None:
    mine = classes.another()
    organization = an_organization()
    events = [sent(an_event(organization, NOON + day * DAY), mine) for day in range(2)]
    store.write([events[0].document])

    def open_day(retention: str, day: date) -> None:
        if day == date(2026, 11, 21):
            raise StoreUnavailable("No room for one more shard.")

    careful = OpenSearchStore(store.client, open_day=open_day)
    fresh = sent(an_event(organization), mine)
    outcomes = careful.write([events[1].document, fresh.document], searchable=True)
    assert [each.outcome for each in outcomes] == [Outcome.RETRY, Outcome.CREATED]
    with pytest.raises(StoreUnavailable, match="No room"):
        careful.write([events[1].document])


def test_without_searchable_it_is_durable_and_a_duplicate_all_the_same(store: OpenSearchStore, retention: str) -> None:
    document = sent(an_event(an_organization()), retention).document
    assert [store.write([document])[0].outcome for _ in range(2)] == [Outcome.CREATED, Outcome.DUPLICATE]


def test_a_page_over_many_days_meets_every_window(store: OpenSearchStore, classes: RetentionClasses) -> None:
    """Forty days in two classes: pages begin, end and go on in every window, both ways."""
    mine, theirs = classes.another(), classes.another()
    organization = an_organization()
    events = [sent(an_event(organization, NOON + day * DAY), (mine, theirs)[day % 2], day) for day in range(12)]
    store.write([event.document for event in events], searchable=True)
    for order in ("desc", "asc"):
        query = Query(organization_id=organization, order=order)
        assert walk(store, query, 5) == bodies(matching(events, query))


def test_a_page_asks_the_newest_days_first() -> None:
    days = [(date(2026, 10, day), day_index("90d", date(2026, 10, day))) for day in range(1, 31)]
    windows = widening(days, newest_first=True)
    assert [len(window) for window in windows] == [2, 6, 18, 4]
    assert windows[0] == ["audit-90d-2026.10.30", "audit-90d-2026.10.29"]
    assert [name for window in windows for name in window] == [name for _, name in reversed(days)]
    assert widening(days, newest_first=False)[0] == ["audit-90d-2026.10.01", "audit-90d-2026.10.02"]
    assert widening([], newest_first=True) == []


def test_only_days_of_the_range_are_asked() -> None:
    names = [day_index(retention, date(2026, 10, day)) for day in (1, 2, 3) for retention in ("90d", "forever")]
    names += ["audit-of-somebody-else"]
    midnight = from_ms(NOON).replace(year=2026, month=10, day=2, hour=0)
    assert [day.day for day, _ in within(names, midnight, midnight)] == []
    assert [day.day for day, _ in within(names, midnight, from_ms(NOON))] == [2, 2, 3, 3]
    assert [day.day for day, _ in within(names, None, midnight)] == [1, 1]
    assert len(within(names, None, None)) == 6


def test_events_are_cut_out_of_an_answer_as_they_are() -> None:
    """What looks like a part of the answer inside an event stays inside."""
    tricky = '{"_source":{"a":"\\"sort\\":[1,\\"x\\"]}}"},"sort":[5,"y"],"n":[1.50,1e400,12345678901234567890123]}'
    answer = (
        '{"took":1,"hits":{"hits":['
        f'{{"_index":"i","_id":"1","_score":null,"_source":{tricky},"sort":[-7,"one"]}},'
        '{"_index":"i","_id":"2","_score":null,"_source":{},"sort":[8,"two"]}]}}'
    )
    assert list(hits(answer)) == [(tricky.encode(), -7, "one"), (b"{}", 8, "two")]
