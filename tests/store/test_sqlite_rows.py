"""What is indexed of an event: the quick way and the careful one read the same."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sqlite_rows import id_bytes, id_text, read_fields
from tests.store.trail import an_event

_text = (
    st.none() | st.text(st.characters(exclude_categories=("Cs",)), min_size=1) | st.sampled_from(['"', "\\\\", '"},{"'])
)


def _without_nones(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@given(_text, _text, _text, _text, _text, st.booleans(), st.sampled_from(["success", "failure", "denied"]))
def test_every_event_is_read_as_its_json_says(
    id: str | None,
    name: str | None,
    email: str | None,
    resource: str | None,
    label: str | None,
    proxy: bool,
    outcome: str,
) -> None:
    actor = _without_nones(type="user", id=id, name=name, email=email)
    if proxy:
        actor["on_behalf_of"] = {"type": "user", "id": "else", "name": label or "x"}
    event = an_event(
        "acme", actor=actor, resource=_without_nones(type="api_key", id=resource, name=label), outcome=outcome
    )
    expected = ["user", id, name, email, "api_key.create", "api_key", resource, outcome]
    bodies = [
        orjson.dumps(event),
        orjson.dumps(dict(reversed(event.items()))),
        orjson.dumps(event, option=orjson.OPT_INDENT_2),
    ]
    for body in bodies:
        assert read_fields(body) == tuple(each if each is None else each.encode() for each in expected)


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"{}", b'{"actor":{}}', b'{"actor":1,"action":"a.b"}', b'{"actor":{},"action":1}']
)
def test_what_is_no_event_is_said(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"an event|the texts"):
        read_fields(body)


@given(st.uuids())
def test_ids_keep_their_order_as_bytes(uuid: Any) -> None:
    assert id_text(id_bytes(str(uuid))) == str(uuid)
    assert id_bytes(str(uuid).upper()) == uuid.bytes
