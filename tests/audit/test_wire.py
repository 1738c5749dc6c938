"""From bytes to an event and back: what is taken, in which normal form, and what nothing but InvalidEvent comes of."""

import contextlib
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import InvalidEvent
from audit.event import Event
from audit.wire import Limits, parse_event, stamp, unstamp, with_resource_type

LIMITS = Limits()
ID = "019aaaaa-0000-7000-8000-000000000000"
AT = "2026-11-23T10:00:00.123Z"
DEFAULTS = {"id": lambda: ID, "occurred_at": lambda: AT}

FIELDS: dict[str, Any] = {
    "id": ID,
    "occurred_at": AT,
    "organization_id": "org_1",
    "actor": {"type": "user", "id": "u_1"},
    "action": "api_key.create",
}


def text(**changes: Any) -> bytes:
    """An event as JSON; a change to None takes a field out."""
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not None}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def raw(details: bytes) -> bytes:
    """An event with this very text as its details."""
    return text()[:-1] + b',"details":' + details + b"}"


def parse(line: bytes) -> tuple[Event, bytes]:
    return parse_event(line, LIMITS, DEFAULTS)


def refused(line: bytes, limits: Limits = LIMITS) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refusal:
        parse_event(line, limits, DEFAULTS)
    return refusal.value


characters = st.characters(exclude_categories=["Cs"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(characters, max_size=10), inner, max_size=4),
    max_leaves=20,
)
printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
printable_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | printable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(printable, inner, max_size=3),
    max_leaves=8,
)
looks_like_a_stamp = st.sampled_from(
    [',"received_at":"', ',"log":{"id":"', '"received_at":"2026"}', ',\\"received_at\\":\\"', ',"resource":{', "}"]
)


class TestNormalForm:
    def test_it_is_compact_in_the_models_order_with_defaults_and_without_nulls(self) -> None:
        line = (
            b' {"action" : "api_key.create", "source":null, "actor":{"id":"u_1","type":"user"},'
            b'"organization_id":"\\u006frg_1"}\r'
        )

        assert parse(line)[1] == text(resource={}, outcome="success")

    @given(st.dictionaries(printable, printable_values, max_size=4))
    def test_parsing_it_again_changes_nothing(self, details: dict[str, Any]) -> None:
        _, normal = parse(text(details=details))

        assert parse(normal)[1] == normal

    @given(json_values)
    def test_details_mean_what_was_sent(self, value: Any) -> None:
        try:
            _, normal = parse(text(details={"value": value}))
        except InvalidEvent:
            return
        assert json.loads(normal)["details"] == {"value": value}

    @pytest.mark.parametrize(
        "digits", ["18446744073709551616", "-170141183460469231731687303715884105729", "9" * 4000], ids=len
    )
    def test_large_integers_are_kept_to_the_digit(self, digits: str) -> None:
        _, normal = parse(raw(b'{"n":%b}' % digits.encode()))

        assert normal.endswith(b'"details":{"n":%b}}' % digits.encode())

    def test_nulls_in_details_are_kept(self) -> None:
        assert json.loads(parse(raw(b'{"a":null,"b":[null]}'))[1])["details"] == {"a": None, "b": [None]}

    @pytest.mark.parametrize("space", [" ", "\t", "\n", "\r", " \r\n\t"])
    def test_white_space_between_tokens_means_nothing(self, space: str) -> None:
        spaced = json.dumps(FIELDS, separators=(f"{space},{space}", f"{space}:{space}"), indent=None).encode()

        assert parse(spaced)[1] == parse(text())[1]

    @pytest.mark.parametrize("space", ["\x0b", "\x0c", "\u00a0", "\ufeff"])
    def test_other_white_space_is_no_json(self, space: str) -> None:
        assert "not JSON" in refused(text().replace(b":", f":{space}".encode(), 1)).detail

    def test_escapes_and_characters_are_the_same(self) -> None:
        assert parse(raw(rb'{"a":"\u00e9\ud83d\ude00\/"}'))[1] == parse(raw('{"a":"é😀/"}'.encode()))[1]

    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ("1.2.3.4", "1.2.3.4"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("fe80::1%eth0", "fe80::1"),
        ],
    )
    def test_an_address_has_one_text(self, written: str, kept: str) -> None:
        event, _ = parse(text(context={"ip": written}))

        assert event.context is not None
        assert event.context.ip == kept


class TestDefaults:
    def test_an_id_is_made_where_there_is_none(self) -> None:
        assert parse(text(id=None))[0].id == ID

    def test_the_time_of_receipt_is_taken_where_there_is_none(self) -> None:
        assert parse(text(occurred_at=None))[1] == parse(text())[1]

    def test_both_may_be_missing(self) -> None:
        assert parse(text(id=None, occurred_at=None))[1] == parse(text())[1]

    def test_what_was_sent_stands(self) -> None:
        assert parse(text(occurred_at="2026-11-23T11:00:00+01:00"))[0].id == ID

    def test_null_is_not_missing(self) -> None:
        assert refused(text()[:-1].replace(b'"id":"%b"' % ID.encode(), b'"id":null') + b"}").field == "id"

    def test_without_defaults_they_are_required(self) -> None:
        with pytest.raises(InvalidEvent, match="id is missing"):
            parse_event(text(id=None), LIMITS)

    def test_an_empty_object_lacks_the_rest(self) -> None:
        assert refused(b"{}").field == "organization_id"

    def test_an_event_at_the_limit_may_lack_them(self) -> None:
        line = raw(b"{}").replace(b'"id":"%b",' % ID.encode(), b"")

        assert parse_event(line, Limits(event_bytes=len(line)), DEFAULTS)[0].id == ID


class TestRepeatedKeys:
    @pytest.mark.parametrize(
        "line",
        {
            "at the top": text()[:-1] + b',"action":"api_key.create"}',
            "equal, at the top": b'{"action":"api_key.create",' + text()[1:],
            "by another spelling": text()[:-1] + rb',"\u0061ction":"api_key.create"}',
            "in the actor": text().replace(b'"id":"u_1"', b'"id":"u_1","id":"u_2"'),
            "in details": raw(b'{"a":1,"a":1}'),
            "in an object in an array in details": raw(b'{"a":[[{"b":1,"b":2}]]}'),
            "empty": raw(b'{"":1,"":2}'),
            "with both defaults missing": text(id=None, occurred_at=None)[:-1] + b',"action":"a.b"}',
        }.items(),
        ids=lambda item: item[0] if isinstance(item, tuple) else str(item),
    )
    def test_one_is_refused_wherever_it_is(self, line: tuple[str, bytes]) -> None:
        assert "duplicate key" in refused(line[1]).detail


class TestCharacters:
    @pytest.mark.parametrize("code", [*range(0x20), 0x7F])
    def test_a_control_character_by_its_escape_is_refused_but_for_white_space(self, code: int) -> None:
        line = raw(b'{"a":"\\u%04X"}' % code)

        if chr(code) in "\t\n\r":
            assert parse(line)
        else:
            assert refused(line).field == "details.a"

    @pytest.mark.parametrize("code", range(0x20))
    def test_a_raw_control_character_is_no_json(self, code: int) -> None:
        assert "control character" in refused(raw(b'{"a":"%c"}' % code)).detail

    @pytest.mark.parametrize("escape", [rb"\b", rb"\f", rb"\u0000", rb"\u001f", rb"\u001F", b"\x7f", rb"\u007f"])
    @pytest.mark.parametrize("where", ["value", "key", "key of null", "actor", "organization"])
    def test_it_is_refused_by_every_spelling_everywhere(self, escape: bytes, where: str) -> None:
        line = {
            "value": raw(b'{"a":["%b"]}' % escape),
            "key": raw(b'{"%b":1}' % escape),
            "key of null": raw(b'{"a":{"%b":null}}' % escape),
            "actor": text().replace(b"u_1", escape),
            "organization": text().replace(b"org_1", escape),
        }[where]

        assert "control character" in refused(line).detail

    def test_a_backslash_before_u0000_is_only_text(self) -> None:
        assert json.loads(parse(raw(rb'{"a":"\\u0000"}'))[1])["details"] == {"a": r"\u0000"}

    @pytest.mark.parametrize("half", [rb"\ud800", rb"\udfff", rb"\ud800\ud800", rb"\udc00\ud800", b"\xed\xa0\x80"])
    def test_a_lone_surrogate_is_no_text(self, half: bytes) -> None:
        assert "not JSON" in refused(raw(b'{"a":"%b"}' % half)).detail

    @pytest.mark.parametrize("bytes_", [b"\xff", b"\xc0\x80", b"\xf8\x88\x80\x80\x80", b"\xe9"])
    def test_what_is_not_utf_8_is_no_text(self, bytes_: bytes) -> None:
        assert "not JSON" in refused(raw(b'{"a":"%b"}' % bytes_)).detail


class TestNumbers:
    @pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"[[1e999]]"])
    def test_what_no_double_holds_is_refused(self, number: bytes) -> None:
        assert refused(raw(b'{"a":%b}' % number))

    def test_the_largest_double_is_taken(self) -> None:
        assert parse(raw(b'{"a":1.7976931348623157e308}'))

    @pytest.mark.parametrize("number", [b"01", b"+1", b".5", b"1.", b"0x1", b"1_0"])
    def test_what_json_does_not_know_is_refused(self, number: bytes) -> None:
        assert "not JSON" in refused(raw(b'{"a":%b}' % number)).detail


class TestDepth:
    @staticmethod
    def nested(levels: int) -> bytes:
        """Details of so many levels, themselves the first."""
        return raw(b'{"a":' * levels + b"1" + b"}" * levels)

    def test_eight_levels_are_taken(self) -> None:
        assert parse(self.nested(8))

    def test_nine_are_not(self) -> None:
        error = refused(self.nested(9))

        assert (error.field, error.limit) == ("details", 8)

    def test_arrays_are_levels_too(self) -> None:
        assert parse(raw(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}"))
        assert refused(raw(b'{"a":' + b"[" * 8 + b"]" * 8 + b"}")).field == "details"

    def test_breadth_is_not_depth(self) -> None:
        assert parse(raw(b'{"a":[' + b",".join([b"{}"] * 500) + b"]}"))

    def test_braces_in_texts_are_not_levels(self) -> None:
        assert parse(raw(b'{"a":"' + b"{[" * 100 + b'"}'))

    @pytest.mark.parametrize("levels", [50, 199, 201, 1_000, 10_000])
    def test_far_deeper_is_refused_as_that(self, levels: int) -> None:
        assert "levels deep" in refused(self.nested(levels)).detail

    @pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
    def test_a_hundred_thousand_crash_nothing(self, bracket: bytes) -> None:
        assert "levels deep" in refused(raw(bracket * 100_000), Limits(event_bytes=1 << 20)).detail

    def test_it_is_a_setting(self) -> None:
        assert refused(self.nested(3), Limits(depth=2)).limit == 2


class TestSizes:
    def test_an_event_of_64_kib_is_taken(self) -> None:
        line = text()

        assert parse(line + b" " * (64 * 1024 - len(line)))

    def test_a_byte_more_is_not(self) -> None:
        line = text()
        error = refused(line + b" " * (64 * 1024 - len(line) + 1))

        assert (error.limit, "65,537 bytes" in error.detail) == (64 * 1024, True)

    @pytest.mark.parametrize("character", ["x", "é", "😀"])
    def test_a_leaf_of_8_kib_with_its_path_is_taken_and_no_more(self, character: str) -> None:
        room = 8 * 1024 - len("details.a.b")
        fits = character * (room // len(character.encode()))
        fits += "x" * (room - len(fits.encode()))

        assert parse(text(details={"a": {"b": fits}}))
        error = refused(text(details={"a": {"b": fits + "x"}}))
        assert (error.field, error.limit) == ("details.a.b", 8 * 1024)

    def test_a_long_key_counts(self) -> None:
        assert refused(text(details={"k" * 8192: 1})).limit == 8 * 1024

    def test_a_long_number_counts(self) -> None:
        assert parse_event(raw(b'{"n":%b}' % (b"9" * 300)), Limits(leaf_bytes=310), DEFAULTS)
        assert refused(raw(b'{"n":%b}' % (b"9" * 303)), Limits(leaf_bytes=310)).field == "details.n"


class TestResourceType:
    @pytest.mark.parametrize(
        ("resource", "after"),
        [({}, {"type": "iam_rule"}), ({"id": "r_1"}, {"type": "iam_rule", "id": "r_1"})],
    )
    def test_it_is_added_to_the_resource(self, resource: dict[str, str], after: dict[str, str]) -> None:
        _, normal = parse(text(resource=resource))

        assert json.loads(with_resource_type(normal, "iam_rule"))["resource"] == after

    def test_text_that_looks_like_a_resource_is_left_alone(self) -> None:
        _, normal = parse(text(actor={"type": "user", "id": ',"resource":{'}, resource={}))

        typed = json.loads(with_resource_type(normal, "x"))
        assert (typed["resource"], typed["actor"]["id"]) == ({"type": "x"}, ',"resource":{')

    def test_the_typed_form_is_a_normal_form(self) -> None:
        typed = with_resource_type(parse(text(resource={"name": "n"}))[1], "api_key")

        assert parse(typed)[1] == typed


class TestStamp:
    @given(
        st.dictionaries(printable | looks_like_a_stamp, printable_values | looks_like_a_stamp, max_size=4),
        st.text(string.ascii_lowercase + string.digits + "._-", min_size=1, max_size=64),
        st.integers(0, 2**63),
        st.booleans(),
    )
    def test_taking_it_off_gives_the_normal_form_back(
        self, details: dict[str, Any], log_id: str, index: int, known: bool
    ) -> None:
        _, normal = parse(text(details=details))

        assert unstamp(stamp(normal, AT, log_id, index, known)) == normal

    @pytest.mark.parametrize(
        "details",
        [
            {"received_at": "2026"},
            {"a": ',"received_at":"'},
            {',"received_at":"': 1},
            {"a": 1, "received_at": "x", "log": {"id": "log-1", "index": 7}},
            {"a": {"b": [{"c": 1, "received_at": "x"}]}},
        ],
        ids=str,
    )
    def test_it_is_not_confused_by_details_that_look_like_it(self, details: dict[str, Any]) -> None:
        _, normal = parse(text(details=details))

        assert unstamp(stamp(normal, AT, "log-1", 0, False)) == normal

    def test_a_stamped_event_says_when_where_and_whether_it_is_known(self) -> None:
        stored = json.loads(stamp(parse(text())[1], AT, "log-1", 42, known=False))

        assert (stored["received_at"], stored["log"], stored["catalog"]) == (
            AT,
            {"id": "log-1", "index": 42},
            "unknown",
        )

    def test_a_known_action_carries_no_mark(self) -> None:
        assert "catalog" not in json.loads(stamp(parse(text())[1], AT, "log-1", 42, known=True))

    @pytest.mark.parametrize("name", ["received_at", "log", "catalog"])
    def test_a_sender_can_not_stamp(self, name: str) -> None:
        error = refused(text(**{name: "x"}))

        assert (error.field, error.fix) == (name, "Leave it out: ingest sets it.")


class TestAnything:
    """Whatever comes in, nothing but InvalidEvent comes out."""

    @given(st.binary(max_size=200))
    def test_bytes(self, line: bytes) -> None:
        with pytest.raises(InvalidEvent):
            parse(line)

    @given(json_values)
    def test_json(self, value: Any) -> None:
        with pytest.raises(InvalidEvent):
            parse(json.dumps(value).encode())

    @given(
        st.sampled_from([*Event.model_fields, "actor.type", "actor.on_behalf_of", "resource.id", "context.ip"]),
        json_values,
    )
    def test_any_json_in_any_field(self, field: str, value: Any) -> None:
        name, _, inner = field.partition(".")
        placed = {inner: value, **({"type": "user"} if name == "actor" and inner != "type" else {})} if inner else value
        try:
            _, normal = parse(text(**{name: placed}))
        except InvalidEvent:
            return
        assert parse(normal)[1] == normal

    @given(st.integers(0, 200), st.integers(0, 255))
    def test_an_event_with_a_byte_changed(self, place: int, byte: int) -> None:
        line = bytearray(text(details={"a": [1.5, "é"]}, context={"ip": "192.0.2.1"}))
        line[place % len(line)] = byte
        with contextlib.suppress(InvalidEvent):
            parse(bytes(line))

    @given(st.integers(0, 300))
    def test_an_event_cut_short(self, length: int) -> None:
        line = text(details={"a": [1.5, "é"]})
        with pytest.raises(InvalidEvent):
            parse(line[: length % len(line)])
