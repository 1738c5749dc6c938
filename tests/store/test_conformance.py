"""What every engine does alike: written once, found exactly, gone on its day."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import orjson
import pytest

from audit.errors import Conflict
from audit.instants import from_ms
from audit.query import Query
from audit.wire import stamp
from store.names import day_index
from store.protocol import Document, Outcome, Store
from store.retentions import Retentions
from tests.store.conftest import RetentionClasses
from tests.store.trail import DAY, NOON, Sent, an_event, bodies, matching, sent, walk

Write = Callable[..., list[Sent]]


class TestWriting:
    def test_an_event_comes_back_byte_for_byte(self, store: Store, write: Write, organization: str) -> None:
        """Numbers that no double or 64-bit integer holds included."""
        exact = (
            '{"big":123456789012345678901234567890,"small":-9007199254740993,"e":1e-7,"one":1.0,'
            '"pi":3.14159265358979323846264338327950288,"text":"\\u2028 ü 🦊 \\" \\\\ \\"_source\\":{",'
            '"nested":{"sort":[1,"x"],"_source":{"a":1}}}'
        )
        event = an_event(organization)
        body = orjson.dumps(event | {"details": 0}).replace(b'"details":0', b'"details":' + exact.encode())
        document = sent(event, "90d").document._replace(body=stamp(body, "2026-11-23T10:00:00.123Z", "log-1", 7, False))
        document = document._replace(retention=write(an_event(organization))[0].document.retention)
        assert store.write([document], searchable=True)[0].outcome is Outcome.CREATED
        query = Query(organization_id=organization)
        assert store.get(query, document.id) == document.body
        assert document.body in store.search(query, limit=10).items

    def test_the_same_event_again_is_a_duplicate_whatever_was_stamped_on_it(
        self, store: Store, write: Write, organization: str
    ) -> None:
        (first,) = write(an_event(organization))
        again = first.document._replace(
            body=stamp(orjson.dumps(first.event), "2027-01-01T00:00:00.000Z", "log-2", 99, False)
        )
        assert [each.outcome for each in store.write([first.document, again])] == ["duplicate", "duplicate"]
        assert walk(store, Query(organization_id=organization), 10) == [first.document.body]

    def test_the_same_id_with_another_event_is_a_conflict_and_the_first_stands(
        self, store: Store, write: Write, organization: str
    ) -> None:
        (first,) = write(an_event(organization, details={"n": 1}))
        for details in ({"n": 2}, {"n": 1.0}, {"n": True}, {"n": "1"}, {}):
            other = sent(first.event | {"details": details}, first.document.retention).document
            assert [each.outcome for each in store.write([other])] == ["conflict"]
        assert walk(store, Query(organization_id=organization), 10) == [first.document.body]

    def test_two_with_one_id_in_one_call_count_as_sent_one_after_the_other(
        self, store: Store, retention: str, organization: str
    ) -> None:
        event = an_event(organization)
        first, other = sent(event, retention).document, sent(event | {"source": "else"}, retention).document
        outcomes = [each.outcome for each in store.write([first, first, other], searchable=True)]
        assert outcomes == ["created", "duplicate", "conflict"]
        assert walk(store, Query(organization_id=organization), 10) == [first.body]

    def test_one_that_cannot_be_stored_is_refused_in_words_and_its_neighbours_are_taken(
        self, store: Store, retention: str, organization: str
    ) -> None:
        good = [sent(an_event(organization), retention).document for _ in range(2)]
        cut = sent(an_event(organization), retention).document.body[:-1]
        bad = [sent(an_event(organization), retention).document._replace(body=body) for body in (cut, b"[]")]
        results = store.write([good[0], *bad, good[1]], searchable=True)
        assert [each.outcome for each in results] == ["created", "refused", "refused", "created"]
        assert all(result.error for result in results[1:3])
        assert store.count(Query(organization_id=organization)) == 2

    def test_nothing_to_write_is_nothing(self, store: Store) -> None:
        assert list(store.write([], searchable=True)) == []

    def test_many_writers_of_the_same_events_store_each_once(
        self, store: Store, retention: str, organization: str
    ) -> None:
        documents = [sent(an_event(organization, NOON + n), retention, n).document for n in range(60)]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: store.write(documents, searchable=True), range(4)))
        for each in zip(*results, strict=True):
            assert sorted(result.outcome for result in each) == ["created", *["duplicate"] * 3]
        assert store.count(Query(organization_id=organization)) == 60


class TestReading:
    def test_events_of_one_millisecond_are_ordered_by_id_across_page_edges(
        self, store: Store, write: Write, organization: str
    ) -> None:
        events = write(*(an_event(organization, NOON + n // 5) for n in range(15)))
        for order in ("desc", "asc"):
            query = Query(organization_id=organization, order=order)
            for limit in (1, 2, 3, 7, 15, 16):
                assert walk(store, query, limit) == bodies(matching(events, query))

    def test_events_that_arrive_while_paging_shift_nothing(self, store: Store, write: Write, organization: str) -> None:
        """Newest first, newer ones stay ahead of the walk; what comes in behind is met in its place."""
        events = write(*(an_event(organization, NOON + n) for n in range(10)))
        query = Query(organization_id=organization)
        first = store.search(query, limit=4)
        write(an_event(organization, NOON + 100), an_event(organization, NOON + DAY))
        (late,) = write(an_event(organization, NOON + 2))
        items = list(first.items)
        after = first.next
        while after is not None:
            page = store.search(query, limit=4, after=after)
            items += page.items
            after = page.next
        assert items == bodies(matching([*events, late], query))

    def test_an_organization_never_sees_another_ones(self, store: Store, write: Write, organization: str) -> None:
        (theirs,) = write(an_event(organization + "x"))
        query = Query(organization_id=organization)
        assert walk(store, query, 10) == []
        assert store.get(query, theirs.id) is None
        assert store.count(query) == 0
        assert store.facets(query, size=10).actors == ()

    def test_get_looks_at_the_organization_and_its_visibility_alone(
        self, store: Store, write: Write, organization: str
    ) -> None:
        (event,) = write(an_event(organization))
        other_filters = Query(organization_id=organization, actions=("project.update",), until=from_ms(NOON - 5))
        assert store.get(other_filters, event.id) == event.document.body
        assert store.get(other_filters, event.id.upper()) == event.document.body
        at_the_edge = Query(organization_id=organization, visible_from=from_ms(NOON))
        assert store.get(at_the_edge, event.id) == event.document.body
        assert store.get(Query(organization_id=organization, visible_from=from_ms(NOON + 1)), event.id) is None

    @pytest.mark.parametrize("id", ["", "nonsense", "01a1ee54-c900-7d0d-ba8f-000000000000", "a/b?c", "x" * 3000, "\0"])
    def test_an_id_that_is_none_is_not_found(self, store: Store, organization: str, id: str) -> None:
        assert store.get(Query(organization_id=organization), id) is None

    def test_a_page_may_hold_as_many_as_the_engine_has(self, store: Store, write: Write, organization: str) -> None:
        """A limit past one request of the engine's."""
        events = write(*(an_event(organization, NOON + n) for n in range(30)))
        page = store.search(Query(organization_id=organization), limit=10_000)
        assert len(page.items) == len(events)
        assert page.next is None

    def test_words_are_matched_whole_and_as_they_are(self, store: Store, write: Write, organization: str) -> None:
        for_sql = "x'; DROP TABLE events; --"
        write(an_event(organization, actor={"type": "user", "id": "U", "name": for_sql, "email": "*@example.com"}))
        for word, found in ((for_sql, 1), ("u", 0), ("*", 0), ("*@example.com", 1), ("%", 0), ("\0", 0)):
            assert store.count(Query(organization_id=organization, actors=(word,))) == found

    def test_many_values_of_one_filter(self, store: Store, write: Write, organization: str) -> None:
        events = write(
            *(an_event(organization, NOON + n, resource={"type": "project", "id": f"p{n}"}) for n in range(40))
        )
        query = Query(organization_id=organization, resource_ids=tuple(f"p{n}" for n in range(3, 900)))
        assert walk(store, query, 7) == bodies(matching(events, query))
        assert store.count(query) == 37

    def test_a_store_that_answers_says_so(self, store: Store) -> None:
        store.prepare()
        store.prepare()
        store.check()


class TestDays:
    def test_a_day_goes_alone(self, store: Store, write: Write, classes: RetentionClasses, organization: str) -> None:
        """Not the day before, not the day after, not the same day of another class, and not another time zone's."""
        mine, theirs = classes.another(), classes.another()
        day = date(2026, 11, 20)
        midnight = NOON - DAY // 2
        kept = write(an_event(organization, midnight - 1), an_event(organization, midnight + DAY), retention=mine)
        gone = write(an_event(organization, midnight), an_event(organization, midnight + DAY - 1), retention=mine)
        other = write(an_event(organization + "x", NOON), retention=theirs)
        held = [each for each in store.days() if each.retention == mine]
        assert [(each.day, each.events, each.name) for each in held] == [
            (date(2026, 11, number), events, day_index(mine, date(2026, 11, number)))
            for number, events in ((19, 1), (20, 2), (21, 1))
        ]
        assert store.delete_day(mine, day) == len(gone)
        assert walk(store, Query(organization_id=organization, order="asc"), 10) == bodies(kept)
        assert walk(store, Query(organization_id=organization + "x"), 10) == bodies(other)
        assert [each.day.day for each in store.days() if each.retention == mine] == [19, 21]
        assert store.delete_day(mine, day) == 0

    def test_a_late_event_opens_its_day_again(
        self, store: Store, write: Write, classes: RetentionClasses, organization: str
    ) -> None:
        mine = classes.another()
        write(an_event(organization), retention=mine)
        store.delete_day(mine, date(2026, 11, 20))
        (late,) = write(an_event(organization), retention=mine)
        assert walk(store, Query(organization_id=organization), 10) == [late.document.body]

    def test_nothing_personal_outlives_its_events(
        self, store: Store, write: Write, classes: RetentionClasses, organization: str
    ) -> None:
        mine = classes.another()
        write(an_event(organization), retention=mine)
        store.delete_day(mine, date(2026, 11, 20))
        write(an_event(organization, NOON + DAY, actor={"type": "system"}), retention=mine)
        assert [actor.type for actor in store.facets(Query(organization_id=organization), size=9).actors] == ["system"]


class TestRecords:
    def test_a_record_is_written_read_changed_and_removed(self, store: Store, organization: str) -> None:
        records, kind = store.records, organization
        assert records.get(kind, "a") is None
        first = records.put(kind, "a", {"n": 1, "list": [{"x": None}]}, version=None)
        assert records.get(kind, "a") == first
        assert first.body == {"n": 1, "list": [{"x": None}]}
        second = records.put(kind, "a", {"n": "now a text"}, version=first.version)
        assert second.version != first.version
        records.put(kind, "B", {}, version=None)
        records.put(kind, "ä/ü?#%", {}, version=None)
        assert [record.id for record in records.list(kind)] == ["B", "a", "ä/ü?#%"]
        records.delete(kind, "a")
        records.delete(kind, "a")
        assert [record.id for record in records.list(kind)] == ["B", "ä/ü?#%"]
        assert records.list(kind + "x") == []

    def test_a_version_that_is_not_what_stands_is_a_conflict(self, store: Store, organization: str) -> None:
        records, kind = store.records, organization
        first = records.put(kind, "a", {}, version=None)
        records.put(kind, "a", {"n": 2}, version=first.version)
        for version in (None, first.version, "77.1", "77", "x"):
            with pytest.raises(Conflict):
                records.put(kind, "a", {}, version=version)
        with pytest.raises(Conflict):
            records.put(kind, "never", {}, version=first.version)
        records.delete(kind, "a")
        anew = records.put(kind, "a", {}, version=None)
        assert anew.version != first.version

    def test_of_two_writers_with_one_version_one_wins(self, store: Store, organization: str) -> None:
        records, kind = store.records, organization
        standing = records.put(kind, "counter", {"n": 0}, version=None)
        barrier = threading.Barrier(4)

        def add(_: int) -> bool:
            barrier.wait()
            try:
                records.put(kind, "counter", {"n": 1}, version=standing.version)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(add, range(4))) == [False, False, False, True]

    def test_ids_may_be_as_long_as_an_organization_id(self, store: Store, organization: str) -> None:
        ids = sorted(("🦊" * 128, "🦊" * 127 + "x"))
        for id in ids:
            store.records.put(organization, id, {"is": id}, version=None)
        assert [record.id for record in store.records.list(organization)] == ids
        assert all(store.records.get(organization, id).body == {"is": id} for id in ids)  # type: ignore[union-attr]

    def test_a_retention_is_kept_and_known(self, store: Store, organization: str) -> None:
        retentions = Retentions(store.records, "90d")
        assert str(retentions.of(organization)) == "90d"
        store.records.put("retention", organization, {"retention": "365d"}, version=None)
        assert str(Retentions(store.records, "90d").of(organization)) == "365d"


def test_a_document_needs_no_log_stamp(store: Store, retention: str, organization: str) -> None:
    """An import may write what another system stamped, or nobody."""
    event = an_event(organization)
    bare = Document(event["id"], organization, NOON, retention, orjson.dumps(event))
    assert [each.outcome for each in store.write([bare], searchable=True)] == ["created"]
    assert [each.outcome for each in store.write([bare, sent(event, retention).document])] == ["duplicate"] * 2
    assert store.get(Query(organization_id=organization), bare.id) == bare.body
