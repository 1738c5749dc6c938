"""From an event's bytes to a row: what is indexed is taken out of the body once, when it is written.

Actions with their resource types, and actors, are interned per organization: an event row holds two small numbers instead of
some eighty bytes of text, twice over with its index. An interned row goes in the transaction that deletes its last event, so
that no name or address outlives the events it was in.
"""

from collections.abc import Iterable
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

_NOTHING: dict[str, Any] = {}
_OUTCOME = b',"outcome":"'

# Above it the interned texts are forgotten and looked up again: about 50 MB at the worst.
_KNOWN_AT_MOST = 100_000


class Row(NamedTuple):
    """An event on its way in. `fields` are those of the body, or of a normal form that is yet to be stamped."""

    id: str
    organization_id: str
    occurred_at: int
    retention: str
    body: bytes
    fields: dict[str, Any]


def read_fields(body: bytes) -> dict[str, Any]:
    """Read what is indexed of a body; raises ValueError where it isn't an event, saying why.

    In the normal form everything that is indexed comes before the outcome, and so before details and context, which are most
    of an event: reading the beginning alone takes half the time.
    """
    end = body.find(_OUTCOME)
    if end > 0:
        try:
            fields: dict[str, Any] = orjson.loads(body[:end] + b"}")
        except ValueError:
            pass  # what was found lies deeper: another order of keys
        else:
            if "actor" in fields and "action" in fields and "resource" in fields:
                start = end + len(_OUTCOME)
                fields["outcome"] = body[start : body.index(b'"', start)].decode()
                return fields
    fields = orjson.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("an event is a JSON object")
    for name, kind in (("actor", dict), ("action", str)):
        if not isinstance(fields.get(name), kind):
            raise ValueError(f"an event has {name!r}")
    return fields


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


def resource_key(id: str) -> int:
    """Four bytes that stand for a resource id in the index. Two ids may share a key, so a match is looked at again."""
    return crc32(id.encode("utf-8", "surrogatepass")) - (1 << 31)


class Interned:
    """The numbers of organizations, kinds and actors, as the writing connection knows them.

    Used inside write transactions only. Another process may delete an interned row and its number be given anew: it then
    counts up `meta.generation`, which `begin` compares. After a rollback, `forget`.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._generation = -1
        self._organizations: dict[str, tuple[int, str]] = {}
        self._kinds: dict[tuple[int, str, str], int] = {}
        self._actors: dict[tuple[int, str, str, str, str], int] = {}

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

    def bindings(self, row: Row, body: bytes) -> tuple[Any, ...]:
        """Give what INSERT takes; `body` is what is stored."""
        fields = row.fields
        organization = self.organization(row.organization_id, row.retention)
        actor = fields["actor"].get
        resource = (fields.get("resource") or _NOTHING).get
        resource_id = resource("id")
        return (
            id_bytes(row.id),
            organization,
            *divmod(row.occurred_at, DAY_MS),
            self._kind(organization, fields["action"], resource("type") or ""),
            self._actor(
                organization, actor("type") or "", actor("id") or "", actor("name") or "", actor("email") or ""
            ),
            OUTCOMES.get(fields.get("outcome", "success"), 0),
            None if resource_id is None else resource_key(resource_id),
            body,
        )

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

    def _kind(self, *key: Any) -> int:
        number = self._kinds.get(key)
        if number is None:
            number = self._kinds[key] = self._number(
                "SELECT kind FROM kinds WHERE (organization, action, resource_type) = (?,?,?)",
                "INSERT INTO kinds (organization, action, resource_type) VALUES (?,?,?) RETURNING kind",
                key,
            )
        return number

    def _actor(self, *key: Any) -> int:
        number = self._actors.get(key)
        if number is None:
            number = self._actors[key] = self._number(
                "SELECT actor FROM actors WHERE (organization, type, id, name, email) = (?,?,?,?,?)",
                "INSERT INTO actors (organization, type, id, name, email) VALUES (?,?,?,?,?) RETURNING actor",
                key,
            )
        return number

    def _number(self, find: str, make: str, key: tuple[Any, ...]) -> int:
        found: int | None = self._connection.execute(find, key).get
        if found is None:
            found = self._connection.execute(make, key).get
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
