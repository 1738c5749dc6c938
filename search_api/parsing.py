"""A URL's parameters into the query, and nothing that is ignored.

Whatever a URL holds beyond the table of `parameters`, twice where it may stand once, or in a form that no event could have,
is refused with the parameter's name, the limit and the fix.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from urllib.parse import parse_qsl

from pydantic import ValidationError

from audit.catalog import Catalog
from audit.errors import InvalidQuery
from audit.event import UUID7_PATTERN
from audit.query import Query
from search_api.parameters import DEFAULT_LIMIT, LISTING, VALUES, Parameter

QUERY_STRING_BYTES = 8192

Values = Mapping[str, Sequence[str]]

_control = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_number = re.compile(r"[0-9]{1,9}").fullmatch
_stray_percent = re.compile(rb"%(?![0-9A-Fa-f]{2})").search  # which Python would take for itself
_event_id = re.compile(UUID7_PATTERN).fullmatch

# What people type who know another audit log's API.
_also_known_as = {"since": "from", "until": "to", "user": "actor", "page_size": "limit", "per_page": "limit"}

_by_field = {parameter.query_field: parameter for parameter in LISTING if parameter.query_field is not None}


def read(query_string: bytes, allowed: Sequence[Parameter]) -> Values:
    """Split a query string into each parameter's values, every name and text of which is possible.

    Raises InvalidQuery for one that is too long or not UTF-8, and for parameters that are unknown, repeated where they
    may not be, empty, or hold control characters.
    """
    if len(query_string) > QUERY_STRING_BYTES:
        raise InvalidQuery(
            f"The query has {len(query_string):,} bytes.",
            limit=QUERY_STRING_BYTES,
            fix="Ask for fewer values at a time.",
        )
    not_encoded = InvalidQuery(
        "The query is not percent-encoded UTF-8.", fix="Encode it as RFC 3986, section 2.1, says."
    )
    if _stray_percent(query_string):
        raise not_encoded
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise not_encoded from None
    by_name = {parameter.name: parameter for parameter in allowed}
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in by_name:
            raise _unknown(name, by_name)
        values.setdefault(name, []).append(value)
    for name, texts in values.items():
        _check(by_name[name], texts)
        values[name] = list(dict.fromkeys(texts))
    return values


def to_query(values: Values, organization_id: str, visible_from: datetime | None, catalog: Catalog) -> Query:
    """Make the query. Raises InvalidQuery naming the parameter whose value can't match the grammar."""
    fields = {
        name: values[parameter.name] if parameter.repeatable else values[parameter.name][0]
        for name, parameter in _by_field.items()
        if parameter.name in values
    }
    try:
        query = Query.model_validate({"organization_id": organization_id, "visible_from": visible_from, **fields})
    except ValidationError as error:
        raise _explained(error) from None
    if catalog.mode == "strict":
        _check_catalog(query, catalog)
    return query


def to_limit(values: Values, maximum: int) -> int:
    """Read `limit`. Raises InvalidQuery outside 1 to `maximum`."""
    if "limit" not in values:
        return min(DEFAULT_LIMIT, maximum)
    text = values["limit"][0]
    if not _number(text) or not 1 <= int(text) <= maximum:
        raise InvalidQuery(
            f"limit is a whole number from 1 to {maximum}, not {_quoted(text)}.",
            field="limit",
            limit=maximum,
            fix="Ask for a whole number in that range, and follow next_cursor for more.",
        )
    return int(text)


def to_event_id(text: str) -> str:
    """Read an event's id. Raises InvalidQuery for anything but a UUIDv7 (RFC 9562)."""
    if not _event_id(text):
        raise InvalidQuery(
            f"{_quoted(text)} is no event id.", field="id", fix="Take the id of an event as it was shown: a UUIDv7."
        )
    return text.lower()


def _check(parameter: Parameter, texts: Sequence[str]) -> None:
    name = parameter.name
    if len(texts) > 1 and not parameter.repeatable:
        raise InvalidQuery(f"{name} stands {len(texts)} times.", field=name, limit=1, fix="Send it once.")
    if len(texts) > VALUES:
        raise InvalidQuery(
            f"{name} stands {len(texts)} times.", field=name, limit=VALUES, fix="Ask for fewer values at a time."
        )
    for text in texts:
        if not text:
            raise InvalidQuery(f"{name} is empty.", field=name, fix="Leave it out, or give it a value.")
        if found := _control.search(text):
            raise InvalidQuery(
                f"{name} has the control character U+{ord(found.group()):04X}, which no event has.",
                field=name,
                fix="Remove it.",
            )


def _unknown(name: str, by_name: Mapping[str, Parameter]) -> InvalidQuery:
    lower = name[:64].lower()
    near = _also_known_as.get(lower) or next(iter(get_close_matches(lower, by_name, 1)), None)
    if near in by_name:
        fix = f"Did you mean {near}?"
    elif by_name:
        fix = f"There are {', '.join(by_name)}."
    else:
        fix = "Leave it out: there are none here."
    return InvalidQuery(f"There is no parameter {_quoted(name)} here.", field=name[:64], fix=fix)


def _explained(error: ValidationError) -> InvalidQuery:
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return InvalidQuery("from is later than to.", field="from", fix="Let from be the earlier one.")
    parameter = _by_field[str(first["loc"][0])]
    context = first.get("ctx", {})
    message = first["msg"].removeprefix("Value error, ").split(". ")[0].rstrip(".")
    return InvalidQuery(
        f"{parameter.name}: {_quoted(str(first['input']))}: {message[:1].lower()}{message[1:]}.",
        field=parameter.name,
        limit=context.get("max_length"),
        fix=parameter.fix,
    )


def _check_catalog(query: Query, catalog: Catalog) -> None:
    """In strict mode nothing outside the catalog is ever stored: asking for it is a mistake worth telling."""
    types = {action.resource_type for action in catalog}
    for name, asked, known in (
        ("action", query.actions, set(catalog.actions)),
        ("resource_type", query.resource_types, types),
    ):
        for value in asked:
            if value not in known:
                near = get_close_matches(value, known, 1)
                raise InvalidQuery(
                    f"{_quoted(value)} is not in the catalog.",
                    field=name,
                    fix=f"Did you mean {near[0]}?" if near else "The filters endpoint lists what occurs.",
                )


def _quoted(text: str) -> str:
    """A text from outside, safe and short enough to be shown."""
    return ascii(text if len(text) <= 64 else text[:64] + "…")
