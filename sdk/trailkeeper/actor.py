"""Who did it: the Actor that callers may pass instead of a dict, and the one place that reads either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trailkeeper.errors import InvalidEventError
from trailkeeper.text import identifier, label

ActorType = Literal["user", "api_key", "service", "system", "anonymous"]

_TYPES: dict[str, str] = {name: name for name in ("user", "api_key", "service", "system", "anonymous")}
_NAMELESS = ("system", "anonymous")
_FIELDS = frozenset({"type", "id", "name", "email", "on_behalf_of"})
_EXAMPLE = 'Write it like {"type": "user", "id": "u_1", "name": "Ada", "email": "ada@example.com"}.'


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `id` is what the application knows the actor by; only `system` and `anonymous` go without.

    `on_behalf_of` is the one whom the actor impersonates, as when a member of support acts for a customer.
    """

    id: str | None = None
    type: ActorType = "user"
    name: str | None = None
    email: str | None = None
    on_behalf_of: Actor | Mapping[str, Any] | None = None

    def as_fields(self) -> dict[str, Any]:
        """Give the fields that are set, in the wire's order."""
        names = ("type", "id", "name", "email", "on_behalf_of")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def wire_actor(value: Any, path: str = "actor") -> dict[str, Any]:
    """Give an actor in the wire's form; raise InvalidEventError naming the part that is wrong."""
    if isinstance(value, Actor):
        value = value.as_fields()
    elif not isinstance(value, Mapping):
        if value is None:
            raise InvalidEventError(path, "is missing.", f"Bind it or pass it. {_EXAMPLE}")
        raise InvalidEventError(path, f"is a {type(value).__name__}.", _EXAMPLE)
    get = value.get
    kind = get("type", "user")
    try:
        actor: dict[str, Any] = {"type": _TYPES[kind]}
    except (KeyError, TypeError):
        raise InvalidEventError(
            f"{path}.type", f"is {kind!r:.50}.", "It is one of user, api_key, service, system, anonymous."
        ) from None
    if (ident := get("id")) is not None and ident != "":
        actor["id"] = identifier(ident, f"{path}.id", 256)
    elif kind not in _NAMELESS or path != "actor":
        raise InvalidEventError(
            f"{path}.id", "is missing.", f"Only the types system and anonymous go without. {_EXAMPLE}"
        )
    if (name := get("name")) is not None and name != "":
        actor["name"] = label(name, 256)
    if (email := get("email")) is not None and email != "":
        actor["email"] = label(email, 320)
    if (other := get("on_behalf_of")) is not None:
        if path != "actor":
            raise InvalidEventError(f"{path}.on_behalf_of", "is one too many.", "There is one level of impersonation.")
        actor["on_behalf_of"] = wire_actor(other, "actor.on_behalf_of")
    if not _FIELDS.issuperset(value):
        unknown = sorted(map(str, set(value) - _FIELDS))[0]
        raise InvalidEventError(
            f"{path}.{unknown:.50}", "is not a field of an actor.", "Put what else is known into details."
        )
    return actor
