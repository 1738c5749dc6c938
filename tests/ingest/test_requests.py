"""What a request may look like, and what is answered: a result for each event, in order."""

import gzip
import json
from collections.abc import Callable

import pytest
import zstandard

from audit.instants import parse_instant
from tests.ingest.sending import NDJSON, Way, event, line, statuses

JSON = "application/json"


def pack_nothing(body: bytes) -> bytes:
    return body


def pack_members(body: bytes) -> bytes:
    """Two gzip members, cut in the middle of an event."""
    return gzip.compress(body[: len(body) // 2]) + gzip.compress(body[len(body) // 2 :])


def pack_frames(body: bytes) -> bytes:
    """Two zstd frames."""
    zstd = zstandard.ZstdCompressor()
    return zstd.compress(body[: len(body) // 2]) + zstd.compress(body[len(body) // 2 :])


def pack_stream(body: bytes) -> bytes:
    """A zstd frame that does not say how large its content is."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(body) + stream.flush()


PACKINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("", pack_nothing),
    "identity": ("identity", pack_nothing),
    "gzip": ("gzip", gzip.compress),
    "x-gzip in capitals": ("X-GZIP", gzip.compress),
    "gzip in two members": ("gzip", pack_members),
    "zstd": ("zstd", zstandard.compress),
    "zstd in two frames": ("zstd", pack_frames),
    "zstd of unknown size": ("zstd", pack_stream),
}
FORMS: dict[str, tuple[str, Callable[[list[bytes]], bytes]]] = {
    "an array": (JSON, lambda lines: b"[%b]" % b",".join(lines)),
    "an array with space": (JSON + "; charset=utf-8", lambda lines: b" [ %b ]\n" % b" ,\n ".join(lines)),
    "NDJSON": (NDJSON, b"\n".join),
    "NDJSON, its other name": ("application/ndjson", b"\n".join),
    "NDJSON with CRLF": (NDJSON, b"\r\n".join),
    "NDJSON with blank lines": (NDJSON, lambda lines: b"\n\n" + b"\n \t\n".join(lines) + b"\n\n"),
    "NDJSON with a BOM": (NDJSON, lambda lines: b"\xef\xbb\xbf" + b"\n".join(lines)),
    "an array with a BOM": (JSON, lambda lines: b"\xef\xbb\xbf[%b]" % b",".join(lines)),
}


@pytest.mark.parametrize(("encoding", "pack"), PACKINGS.values(), ids=list(PACKINGS))
@pytest.mark.parametrize(("content_type", "form"), FORMS.values(), ids=list(FORMS))
def test_every_form_in_every_packing_is_taken(
    way: Way,
    content_type: str,
    form: Callable[[list[bytes]], bytes],
    encoding: str,
    pack: Callable[[bytes], bytes],
) -> None:
    events = [event(), event()]
    body = pack(form([json.dumps(each).encode() for each in events]))

    response = way.post(body, content_type, **({"Content_Encoding": encoding} if encoding else {}))

    assert response.status_code == 202, response.text
    assert [result["id"] for result in response.json()["results"]] == [each["id"] for each in events]


@pytest.mark.parametrize("packed", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_one_object_is_an_answer_of_one(way: Way, packed: bytes) -> None:
    sent = event()
    body = json.dumps(sent).encode()

    response = way.post(gzip.compress(body) if packed else body, **({"Content_Encoding": "gzip"} if packed else {}))

    assert response.json() == {
        "results": [{"id": sent["id"], "status": "accepted"}],
        "accepted": 1,
        "duplicate": 0,
        "rejected": 0,
    }


def test_a_zstd_frame_that_wants_a_huge_window_is_400(way: Way) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    response = way.post(stream.compress(line()) + stream.flush(), Content_Encoding="zstd")

    assert response.status_code == 400


def test_a_zstd_bomb_is_413(way: Way) -> None:
    response = way.post(zstandard.compress(b" " * (64 << 20)), Content_Encoding="zstd")

    assert response.status_code == 413


def test_results_stand_in_the_order_of_the_events(way: Way) -> None:
    once = line()
    way.batch(once)

    answer = way.batch(line(), once, line(action="No"), line())

    assert statuses(answer) == ["accepted", "duplicate", "rejected", "accepted"]
    assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (2, 1, 1)


def test_an_event_is_stored_with_its_receipt_and_its_place_in_the_log(way: Way) -> None:
    sent = event()

    way.batch(json.dumps(sent).encode())

    (stored,) = way.stored()
    assert parse_instant(stored["received_at"]) >= parse_instant(sent["occurred_at"])
    assert stored["log"]["index"] == 0
    assert {name: stored[name] for name in sent} == sent


def test_events_of_a_request_are_numbered_in_its_order(way: Way) -> None:
    ids = [result["id"] for result in way.batch(*(line() for _ in range(20)))["results"]]

    places = {each["id"]: each["log"]["index"] for each in way.stored()}
    assert [places[id] for id in ids] == list(range(20))


def test_without_an_id_ingest_makes_one_and_tells_it(way: Way) -> None:
    (result,) = way.batch(line(id=None))["results"]

    assert [each["id"] for each in way.stored()] == [result["id"]]


def test_without_an_instant_it_is_the_time_of_receipt(way: Way) -> None:
    way.batch(line(occurred_at=None))

    (stored,) = way.stored()
    assert stored["occurred_at"] == stored["received_at"]


def test_the_resource_type_defaults_from_the_catalog(way: Way) -> None:
    way.batch(line(action="api_key.iam_rule.create", resource={"id": "rule_1"}))

    assert way.stored()[0]["resource"] == {"type": "iam_rule", "id": "rule_1"}


def test_a_resource_type_that_was_sent_stands(way: Way) -> None:
    way.batch(line(action="project.update", resource={"type": "team", "id": "t_1"}))

    assert way.stored()[0]["resource"]["type"] == "team"


def test_an_action_outside_the_catalog_is_taken_and_marked(way: Way) -> None:
    way.batch(line(action="invoice.send"), line(action="project.create"))

    assert [each.get("catalog") for each in way.stored()] == ["unknown", None]


def test_the_same_event_again_is_a_duplicate(way: Way) -> None:
    sent = line()

    assert [statuses(way.batch(sent)), statuses(way.batch(sent))] == [["accepted"], ["duplicate"]]
    assert len(way.stored()) == 1


def test_the_same_event_written_another_way_is_a_duplicate(way: Way) -> None:
    sent = event()
    way.batch(json.dumps(sent).encode())

    assert statuses(way.batch(json.dumps(dict(reversed(sent.items())), indent=1).replace("\n", "").encode())) == [
        "duplicate"
    ]


def test_the_same_id_twice_in_one_request_is_one_event(way: Way) -> None:
    sent = line()

    assert statuses(way.batch(sent, sent)) == ["accepted", "duplicate"]


def test_the_same_id_with_other_content_is_409_and_the_first_stands(way: Way) -> None:
    sent = event()
    way.batch(json.dumps(sent).encode())

    response = way.post(json.dumps({**sent, "outcome": "denied"}).encode())

    assert (response.status_code, response.json()["field"]) == (409, "id")
    assert [each["outcome"] for each in way.stored()] == ["success"]


def test_a_conflict_is_on_the_trail(way: Way) -> None:
    sent = event()
    way.batch(json.dumps(sent).encode())

    way.batch(json.dumps({**sent, "outcome": "denied"}).encode())

    (report,) = way.reported()
    assert (report["action"], report["details"]) == ("audit_log.conflict", {"event_id": sent["id"]})


def test_every_conflict_of_a_request_is_on_the_trail(way: Way) -> None:
    sent = [event() for _ in range(3)]
    way.batch(*(json.dumps(each).encode() for each in sent))

    way.batch(*(json.dumps({**each, "outcome": "denied"}).encode() for each in sent))

    assert sorted(report["resource"]["id"] for report in way.reported()) == sorted(each["id"] for each in sent)


@pytest.mark.parametrize("query", ["ack=never", "ack=", "wait=1", "ack=indexed&ack=indexed"])
def test_a_query_that_is_not_understood_is_422(way: Way, query: str) -> None:
    with way.client() as client:
        response = client.post(f"/v1/events?{query}", content=line(), headers={"Content-Type": JSON})

    assert (response.status_code, response.json()["field"]) == (422, "ack")


@pytest.mark.parametrize("ack", ["committed", "indexed", "searchable"])
def test_embedded_every_acknowledgement_is_the_commit(way: Way, ack: str) -> None:
    assert statuses(way.batch(line(), ack=ack)) == ["accepted"]
    assert len(way.stored()) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_405(way: Way, method: str) -> None:
    with way.client() as client:
        assert client.request(method, "/v1/events").status_code == 405


def test_the_endpoint_is_in_the_openapi_document(way: Way) -> None:
    with way.client() as client:
        document = client.get("/openapi.json").json()

    assert "post" in document["paths"]["/v1/events"]
    assert document["components"]["schemas"]["Event"]["required"] == ["organization_id", "actor", "action"]


def test_as_many_events_as_a_request_may_have_are_taken(way: Way) -> None:
    answer = way.batch(*(line() for _ in range(10_000)))

    assert answer["accepted"] == 10_000
