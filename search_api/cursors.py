"""Where a page ended, as a text that nobody can forge or use elsewhere.

A cursor is base64url over a fixed layout and its HMAC-SHA256 (RFC 2104). It holds the position, and digests of the
organization and of the query it was made for: with another of either, or past its hours, it is refused with the reason.
"""

import base64
import hashlib
import hmac
import json
import secrets
import struct
import threading
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from audit.errors import Conflict, InvalidCursor
from audit.instants import to_ms
from audit.query import Query
from audit.settings import Settings
from store.protocol import Position, Records

KIND, ID = "secret", "cursor"
"""The record that processes over one store share their secret by, where the settings have none."""

_VERSION = 1
# version, issued at (s), digests of the organization and the query, occurred at (ms), event id
_layout = struct.Struct(">BI16s16sq16s")
_MAC = hashlib.sha256().digest_size
_CONTEXT = b"trailkeeper cursor\0"


def digest(query: Query) -> bytes:
    """Name a query in 16 bytes: all it asks for, in whatever order it was written. What time brings is left out."""
    asked = query.model_dump(mode="json", exclude={"organization_id", "visible_from"})
    normal = {name: sorted(value) if isinstance(value, list) else value for name, value in asked.items()}
    return hashlib.sha256(json.dumps(normal, sort_keys=True).encode()).digest()[:16]


class Cursors:
    """Makes and reads cursors. `secret` is asked for once, when the first is made or read."""

    def __init__(self, secret: Callable[[], bytes], hours: int) -> None:
        self._make_secret = secret
        self._lock = threading.Lock()
        self._secret: bytes | None = None
        self._hours = hours

    def write(self, query: Query, position: Position, now: datetime) -> str:
        """Make the cursor behind which the next page of this query begins."""
        payload = _layout.pack(
            _VERSION,
            to_ms(now) // 1000,
            _organization(query),
            digest(query),
            position.occurred_at,
            UUID(position.id).bytes,
        )
        return _encode(payload + self._sign(payload))

    def read(self, cursor: str, query: Query, now: datetime) -> Position:
        """Return the position in a cursor.

        Raises InvalidCursor (400) for one that is altered, of another organization or another query, or too old.
        """
        content = _decode(cursor)
        if content is None or len(content) != _layout.size + _MAC:
            _refuse("It is not one of this service's cursors.")
        payload, signature = content[:-_MAC], content[-_MAC:]
        if not hmac.compare_digest(signature, self._sign(payload)):
            _refuse("It is not one of this service's cursors, or it was altered.")
        version, issued_at, organization, asked, occurred_at, event_id = _layout.unpack(payload)
        if version != _VERSION:
            _refuse("It was made by another version of this service.")
        if organization != _organization(query):
            _refuse("It belongs to another organization.")
        if asked != digest(query):
            _refuse("It belongs to another query: between pages only limit may change.")
        if to_ms(now) // 1000 - issued_at >= self._hours * 3600:
            _refuse(f"It is older than {self._hours} hours.", limit=f"{self._hours} hours")
        return Position(occurred_at, str(UUID(bytes=event_id)))

    def _sign(self, payload: bytes) -> bytes:
        if self._secret is None:
            with self._lock:
                self._secret = self._secret or self._make_secret()
        return hmac.digest(self._secret, _CONTEXT + payload, "sha256")


def cursor_secret(settings: Settings, records: Records) -> bytes:
    """Give the secret of the settings; else the one in the store, made by whichever process comes first."""
    if settings.cursor_secret is not None:
        return settings.cursor_secret.get_secret_value().encode()
    record = records.get(KIND, ID)
    if record is None:
        try:
            record = records.put(KIND, ID, {"secret": secrets.token_hex(32)}, version=None)
        except Conflict:
            record = records.get(KIND, ID)
            assert record is not None, "a secret is never deleted"
    return bytes.fromhex(record.body["secret"])


def _organization(query: Query) -> bytes:
    return hashlib.sha256(query.organization_id.encode()).digest()[:16]


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes | None:
    try:
        content = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    # Python skips what is not in the alphabet; one cursor has one spelling.
    return content if _encode(content) == text else None


def _refuse(reason: str, limit: object = None) -> NoReturn:
    raise InvalidCursor(reason, field="cursor", limit=limit, fix="Ask again without cursor, from the first page.")
