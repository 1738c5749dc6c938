"""The common case, quickly: a line that is an event in its normal form already.

The SDK writes the normal form, so nearly every line that arrives is read here, in about half the time that the model takes
(bench/figures/validate.py): a TypedDict is validated without an object for each part, and without a call into Python for
each field that has a form of its own. The TypedDict is made from the model, so there is one description of an event and
not two.

What isn't recognised is not refused: `audit.wire`, which alone knows what is wrong with an event, then judges it.
"""

import re
import typing
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, get_args, get_origin

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from audit.event import ActorType, Event, one_text_an_address

NAMELESS = (ActorType.SYSTEM, ActorType.ANONYMOUS)
_is_instant = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


@cache
def _typed_dict(model: type[BaseModel]) -> Any:
    """Make the TypedDict of a model's normal form: what may be null is absent, what has a default is there."""
    fields: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(model, include_extras=True).items():
        if name not in model.model_fields:
            continue
        form = _form(hint)
        fields[name] = NotRequired[form] if model.model_fields[name].default is None else form
    made = TypedDict(f"Normal{model.__name__}", fields)  # type: ignore[misc]  # its fields are the model's
    made.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return made


def _form(hint: Any) -> Any:
    """Give the form of one field: without None, models as TypedDicts, and as text what Python has to look at."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _typed_dict(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Literal[tuple(map(str, hint))]
    if get_origin(hint) is Annotated:
        if any(isinstance(mark, BeforeValidator) for mark in hint.__metadata__):
            return str  # an instant or an address: looked at below
        return hint
    if type(None) in get_args(hint):
        (other,) = (choice for choice in get_args(hint) if choice is not type(None))
        return _form(other)
    return hint


_validate_json = TypeAdapter(_typed_dict(Event)).validator.validate_json


def read_normal(line: bytes, most_bytes: int, depth: int) -> dict[str, Any] | None:
    """Read a line that is beyond doubt a valid event in its normal form; None where that takes a closer look.

    `most_bytes` is the smaller of the limits on an event and on a leaf, `depth` that on details. Of an instant only the
    form is certain: whether there is such a date is for whoever reads it.
    """
    # Within a leaf's size no leaf is too large. Without an escape or DEL there is no control character (RFC 8259,
    # section 7).
    if len(line) > most_bytes or b"\\" in line or b"\x7f" in line:
        return None
    try:
        event: dict[str, Any] = _validate_json(line)
        # Written back the same: no key was repeated, and nothing is spelled in another way than the normal form has it.
        if orjson.dumps(event) != line or not _is_instant(event["occurred_at"]):
            return None
    except (ValidationError, TypeError):  # the latter for an integer of more than 64 bits
        return None
    actor, context = event["actor"], event.get("context")
    if context is not None and (ip := context.get("ip")) is not None and not _is_canonical(ip):
        return None
    if "id" not in actor and actor["type"] not in NAMELESS:
        return None
    around = 3 + ("on_behalf_of" in actor) + (context is not None)
    return event if line.count(b"{") + line.count(b"[") - around <= depth else None


def _is_canonical(ip: str) -> bool:
    try:
        return one_text_an_address(ip) == ip
    except ValueError:
        return False
