"""From an event's bytes to a row: what is indexed is taken out of the body once, when it is written.

Actions with their resource types, and actors, are interned per organization: an event row holds two small numbers instead of
some eighty bytes of text, twice over with its index. An interned row goes in the transaction that deletes its last event, so
that no name or address outlives the events it was in.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import apsw
import orjson

from audit.instants import DAY_MS
from store.retentions import KIND as RETENTION

OUTCOMES = {"success": 0, "failure": 1, "denied": 2}

INSERT = """
INSERT INTO events (id, organization, day, time, kind, actor, outcome, resource, body) VALUES (?,?,?,?,?,?,?,?,?)
"""

_OUTCOMES: dict[bytes | None, int] = {name.encode(): number for name, number in OUTCOMES.items()}

# Above it the interned texts are forgotten and looked up again: about 50 MB at the worst.
_KNOWN_AT_MOST = 100_000


class Row(NamedTuple):
    """An event on its way in. `fields` are those of the body, or of a normal form that is yet to be stamped."""

    id: str
    organization_id: str
    occurred_at: int
    retention: str
    body: bytes
    fields: "Fields"


# The beginning of a normal form (`audit.wire`), up to the outcome, where no text needs an escape: nearly every event. It is
# matched from the first byte on, so nothing inside a text can be taken for a field, and takes a third of the time of JSON.
_TEXT = rb'"([^"\\]+)"'
_beginning = re.compile(
    rb'\{"id":"[^"\\]+","occurred_at":"[^"\\]+","organization_id":"[^"\\]+",'
    rb'"actor":\{"type":%b(?:,"id":%b)?(?:,"name":%b)?(?:,"email":%b)?\},"action":%b,'
    rb'"resource":\{"type":%b(?:,"id":%b)?(?:,"name":"[^"\\]+")?\},"outcome":%b[,}]' % ((_TEXT,) * 8)
).match

Fields = tuple[bytes | None, ...]
"""What is indexed: actor type, id, name, email, action, resource type, resource id, outcome; in UTF-8."""


def read_fields(body: bytes) -> Fields:
    """Read what is indexed of an event that is known to be JSON; raises ValueError where it isn't an event, saying why."""
    found = _beginning(body)
    if found is not None:
        return found.groups()
    event = orjson.loads(body)
    if not isinstance(event, dict):
        raise ValueError("an event is a JSON object")
    actor, resource = event.get("actor"), event.get("resource") or {}
    if not isinstance(actor, dict) or not isinstance(resource, dict) or "action" not in event:
        raise ValueError("an event has an actor, an action and a resource")
    texts = [
        *(actor.get(name) for name in ("type", "id", "name", "email")),
        event["action"],
        *(resource.get(name) for name in ("type", "id")),
        event.get("outcome", "success"),
    ]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise ValueError("the texts of an event are strings")
    return tuple(text.encode() if text else None for text in texts)


def id_bytes(id: str) -> bytes:
    """The 16 bytes of a UUID's text; their order is the order of the lower-case text. Raises ValueError."""
    found = bytes.fromhex(id.replace("-", ""))
    if len(found) != 16:
        raise ValueError("is no UUID")
    return found


def id_text(id: bytes) -> str:
    """The inverse of `id_bytes`."""
    text = id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def resource_key(id: bytes) -> int:
    """Four bytes that stand for a resource id in the index. Two ids may share a key, so a match is looked at again."""
    return crc32(id) - (1 << 31)


class Interned:
    """The numbers of organizations, kinds and actors, as the writing connection knows them.

    Used inside write transactions only. Another process may delete an interned row and its number be given anew: it then
    counts up `meta.generation`, which `begin` compares. After a rollback, `forget`.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._generation = -1
        self._organizations: dict[str, tuple[int, str]] = {}
        self._kinds: dict[tuple[Any, ...], int] = {}
        self._actors: dict[tuple[Any, ...], int] = {}

    def begin(self) -> None:
        """Make sure that what is known still holds; at the start of each write transaction."""
        generation = generation_of(self._connection)
        if generation != self._generation or len(self._actors) + len(self._kinds) > _KNOWN_AT_MOST:
            self.forget()
            self._generation = generation

    def forget(self) -> None:
        """Know nothing any more."""
        self._generation = -1
        self._organizations.clear()
        self._kinds.clear()
        self._actors.clear()

    def bindings(self, rows: Sequence[Row], bodies: Iterable[bytes]) -> list[tuple[Any, ...]]:
        """Give what INSERT takes for each row; the bodies are what is stored."""
        found = []
        kinds, actors = self._kinds, self._actors
        for (id, organization_id, occurred_at, retention, _, fields), body in zip(rows, bodies, strict=True):
            actor_type, actor_id, name, email, action, resource_type, resource_id, outcome = fields
            organization = self.organization(organization_id, retention)
            kind = (organization, action, resource_type)
            actor = (organization, actor_type, actor_id, name, email)
            found.append(
                (
                    id_bytes(id),
                    organization,
                    *divmod(occurred_at, DAY_MS),
                    kinds.get(kind) or self._kind(kind),
                    actors.get(actor) or self._actor(actor),
                    _OUTCOMES.get(outcome, 0),
                    None if resource_id is None else resource_key(resource_id),
                    body,
                )
            )
        return found

    def organization(self, id: str, retention: str) -> int:
        """Number an organization, and note its retention class."""
        known = self._organizations.get(id)
        if known is not None and known[1] == retention:
            return known[0]
        # What the organization was given on purpose wins over what a document brings: that may have waited a while.
        number: int = self._connection.execute(
            "INSERT INTO organizations (id, retention) VALUES (?1,"
            " coalesce((SELECT body ->> 'retention' FROM records WHERE kind = ?3 AND id = ?1), ?2))"
            " ON CONFLICT (id) DO UPDATE SET retention = excluded.retention RETURNING organization",
            (id, retention, RETENTION),
        ).get
        self._organizations[id] = (number, retention)
        return number

    def _kind(self, key: tuple[Any, ...]) -> int:
        number = self._kinds[key] = self._number(
            "SELECT kind FROM kinds WHERE (organization, action, resource_type) = (?,?,?)",
            "INSERT INTO kinds (organization, action, resource_type) VALUES (?,?,?) RETURNING kind",
            key,
        )
        return number

    def _actor(self, key: tuple[Any, ...]) -> int:
        number = self._actors[key] = self._number(
            "SELECT actor FROM actors WHERE (organization, type, id, name, email) = (?,?,?,?,?)",
            "INSERT INTO actors (organization, type, id, name, email) VALUES (?,?,?,?,?) RETURNING actor",
            key,
        )
        return number

    def _number(self, find: str, make: str, key: tuple[Any, ...]) -> int:
        # What is missing is the empty text: two NULLs would never be equal.
        texts = tuple(each.decode() if isinstance(each, bytes) else each or "" for each in key)
        found: int | None = self._connection.execute(find, texts).get
        if found is None:
            found = self._connection.execute(make, texts).get
            assert found is not None
        return found


def generation_of(connection: apsw.Connection) -> int:
    """How many times interned rows were deleted from this file."""
    return connection.execute("SELECT value FROM meta WHERE name = 'generation'").get or 0


def count_days(connection: apsw.Connection, bindings: Iterable[tuple[Any, ...]]) -> None:
    """Add inserted rows to the count of their days."""
    counts: dict[tuple[int, int], int] = {}
    for row in bindings:
        key = (row[1], row[2])
        counts[key] = counts.get(key, 0) + 1
    connection.executemany(
        "INSERT INTO days VALUES (?,?,?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
        [(*key, count) for key, count in counts.items()],
    )
