"""Every kind of bad input: a status of its own, the field and the fix named, nothing stored, its neighbours taken."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.ingest.sending import NDJSON, Way, days_ago, embedded, event, line, statuses


def with_details(text: bytes) -> bytes:
    """An event whose details are this very text."""
    return line(details={"marker": 0}).replace(b'{"marker": 0}', text)


def twice(name: str) -> bytes:
    """An event in which a top-level field stands twice."""
    return line().replace(b"{", b'{"%b":"org_2",' % name.encode(), 1)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[Way]:
    """One for all of them: what is bad leaves no trace."""
    with embedded(tmp_path_factory.mktemp("bad"), runner) as way:
        yield way


@dataclass(frozen=True)
class Bad:
    """A bad event, and what is said of it."""

    name: str
    line: bytes
    field: str | None
    says: str
    status: int = 422
    in_arrays: bool = True
    """False where an array with this in it is no JSON document."""

    def __str__(self) -> str:
        return self.name


BAD = [
    Bad("not JSON", b"hello", None, "not JSON", in_arrays=False),
    Bad("cut short", line()[:-5], None, "not JSON", in_arrays=False),
    Bad("not an object", b"42", None, "JSON object"),
    Bad("a number where a string belongs", line(organization_id=7), "organization_id", "string"),
    Bad("a string where an object belongs", line(actor="Ada"), "actor", "object"),
    Bad("no action", line(action=None), "action", "missing"),
    Bad("no organization", line(organization_id=None), "organization_id", "missing"),
    Bad("no actor", line(actor=None), "actor", "missing"),
    Bad("an action with capitals", line(action="API_KEY.create"), "action", "pattern"),
    Bad("an action with spaces", line(action="api key.create"), "action", "pattern"),
    Bad("an action with a line feed", line(action="api_key.create\n"), "action", "pattern"),
    Bad("what only Trailkeeper records", line(action="audit_log.view"), "action", "Only Trailkeeper", 403),
    Bad("a date without offset", line(occurred_at="2026-11-23T10:00:00"), "occurred_at", "offset"),
    Bad("a date that does not exist", line(occurred_at="2026-02-30T10:00:00Z"), "occurred_at", "exists"),
    Bad("70 KiB", with_details(json.dumps({f"k{n}": "x" * 7000 for n in range(10)}).encode()), None, "bytes"),
    Bad("a leaf of 9 KiB", line(details={"text": "x" * 9216}), "details.text", "9,228 bytes"),
    Bad("nesting of 50", with_details(b'{"a":' * 50 + b"1" + b"}" * 50), "details", "levels deep"),
    Bad("nesting of 1,000", with_details(b'{"a":' * 1000 + b"1" + b"}" * 1000), "details", "levels deep", in_arrays=False),
    Bad("NUL, escaped", with_details(rb'{"a":"\u0000"}'), "details.a", "U+0000"),
    Bad("NUL, raw", with_details(b'{"a":"\x00"}'), None, "control character"),
    Bad("a control character, escaped", with_details(rb'{"a":"\u001B[2J"}'), "details.a", "U+001B"),
    Bad("a control character in a name", line(actor={"type": "user", "id": "u_1", "name": "A\x07"}), "actor.name", "U+0007"),
    Bad("a control character in a key", with_details(rb'{"\b":1}'), r"details.\x08", "U+0008"),
    Bad("DEL, raw", with_details(b'{"a":"\x7f"}'), "details.a", "U+007F"),
    Bad("a lone surrogate", with_details(rb'{"a":"\ud800"}'), None, "not JSON"),
    Bad("a lone low surrogate", with_details(rb'{"a":"\udc00x"}'), None, "not JSON"),
    Bad("bytes that are not UTF-8", with_details(b'{"a":"\xff"}'), None, "not JSON"),
    Bad("a duplicate key", twice("organization_id"), "organization_id", "duplicate key"),
    Bad("a duplicate key in details", with_details(b'{"a":[{"b":1,"b":1}]}'), "b", "duplicate key"),
    Bad("an id of another form", line(id="41b8a5b2-2f7a-4b0e-9a25-3f5ac9aee201"), "id", "pattern"),
    Bad("an id that is no UUID", line(id="1"), "id", "pattern"),
    Bad("another's organization", line(organization_id="org_2"), "organization_id", "may not write", 403),
    Bad("a future date", line(occurred_at=days_ago(-1)), "occurred_at", "ahead of the server's clock"),
    Bad("a date past retention", line(occurred_at=days_ago(91)), "occurred_at", "past the organization's retention of 90d"),
    Bad("an unknown field", line(rescource={}), "rescource", "no field"),
    Bad("an actor without an id", line(actor={"type": "user"}), "actor.id", "has an id"),
    Bad("an ip that is none", line(context={"ip": "localhost"}), "context.ip", "address"),
    Bad("an ip that is a list", line(context={"ip": ["192.0.2.1"]}), "context.ip", "string"),
    Bad("NaN", with_details(b'{"a":NaN}'), None, "clear JSON"),
    Bad("a number no double holds", with_details(b'{"a":1e400}'), "details.a", "too large"),
    Bad("an integer of 5,000 digits", with_details(b'{"a":%b}' % (b"9" * 5000)), None, "out of range"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=str)
class TestBadEvents:
    def test_alone_it_has_a_status_of_its_own(self, way: Way, bad: Bad) -> None:
        assert way.post(bad.line).status_code == bad.status

    def test_the_problem_names_what_is_wrong_where_and_the_fix(self, way: Way, bad: Bad) -> None:
        response = way.post(bad.line)
        problem = response.json()

        assert response.headers["content-type"] == "application/problem+json"
        assert problem["status"] == bad.status
        assert problem["type"].startswith("urn:trailkeeper:problem:")
        assert bad.says in problem["detail"]
        assert problem.get("field") == bad.field
        assert problem["fix"]

    def test_nothing_is_stored(self, way: Way, bad: Bad) -> None:
        before = way.stored()

        way.post(bad.line)

        assert way.stored() == before

    def test_its_neighbours_in_ndjson_are_taken(self, way: Way, bad: Bad) -> None:
        before, after = event(), event()

        answer = way.batch(json.dumps(before).encode(), bad.line, json.dumps(after).encode())

        assert statuses(answer) == ["accepted", "rejected", "accepted"]
        assert answer["results"][1]["problem"]["status"] == bad.status
        assert {each["id"] for each in way.stored()} >= {before["id"], after["id"]}


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.in_arrays], ids=str)
class TestBadEventsInArrays:
    def test_its_neighbours_are_taken(self, way: Way, bad: Bad) -> None:
        response = way.post(b"[%b,%b,%b]" % (line(), bad.line, line()))

        assert response.status_code == 202
        assert statuses(response.json()) == ["accepted", "rejected", "accepted"]


def truncated_gzip() -> bytes:
    return gzip.compress(line())[:-9]


REQUESTS = {
    "no content type": (line(), "", {}, 415, "Content-Type"),
    "a wrong content type": (line(), "text/csv", {}, 415, "Content-Type"),
    "an unknown encoding": (line(), NDJSON, {"Content_Encoding": "br"}, 415, "Content-Encoding"),
    "truncated gzip": (truncated_gzip(), NDJSON, {"Content_Encoding": "gzip"}, 400, "Content-Encoding"),
    "gzip that is none": (line(), NDJSON, {"Content_Encoding": "gzip"}, 400, "Content-Encoding"),
    "a gzip bomb": (gzip.compress(b" " * (64 << 20)), NDJSON, {"Content_Encoding": "gzip"}, 413, None),
    "6 MiB": (line() + b" " * (6 << 20), NDJSON, {}, 413, None),
    "6 MiB, unpacked": (gzip.compress(line() + b" " * (6 << 20)), NDJSON, {"Content_Encoding": "gzip"}, 413, None),
    "an empty body": (b"", "application/json", {}, 400, None),
    "an empty array": (b"[]", "application/json", {}, 400, None),
    "blank lines alone": (b"\n \r\n", NDJSON, {}, 400, None),
    "an array that does not end": (b"[%b" % line(), "application/json", {}, 400, None),
    "more behind the array": (b"[%b]x" % line(), "application/json", {}, 400, None),
    "an array nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "application/json", {}, 400, None),
    "too many events": (b"\n".join([b"{}"] * 10_001), NDJSON, {}, 413, None),
    "too many events in an array": (b"[" + b",".join([b"{}"] * 10_001) + b"]", "application/json", {}, 413, None),
    "a million gzip members": (gzip.compress(b"") * 250_000, NDJSON, {"Content_Encoding": "gzip"}, 400, "Content-Encoding"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "content_type", "headers", "status", "field"), REQUESTS.values(), ids=list(REQUESTS))
class TestBadRequests:
    def test_it_is_refused_as_a_whole(
        self, way: Way, body: bytes, content_type: str, headers: dict[str, str], status: int, field: str | None
    ) -> None:
        before = way.stored()

        response = way.post(body, content_type, **headers)
        problem = response.json()

        assert (response.status_code, problem.get("field")) == (status, field)
        assert response.headers["content-type"] == "application/problem+json"
        assert problem["fix"]
        assert way.stored() == before


def test_an_event_nested_100_000_deep_is_refused_alone(way: Way) -> None:
    deep = with_details(b'{"a":' * 5000 + b"1" + b"}" * 5000)

    assert statuses(way.batch(line(), deep)) == ["accepted", "rejected"]


def test_a_rejected_event_of_the_sdks_is_told_by_its_id(way: Way) -> None:
    sent = event(action="No")

    (result,) = way.batch(json.dumps(sent, separators=(",", ":")).encode())["results"]

    assert result["id"] == sent["id"]


def test_what_a_sender_sent_is_quoted_in_part_only(way: Way) -> None:
    response = way.post(b'{"%b":1}' % (b"k" * 60_000))

    assert len(response.content) < 2_000
