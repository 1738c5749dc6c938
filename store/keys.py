"""API keys: what machines show instead of a person's token. Only their hashes are stored.

A token is `tk_<key id>_<secret>`: the id finds the record, the secret has 256 bits, so that SHA-256 is hash enough (a slow
hash is for what people choose). A revoked or expired key stops working everywhere within the few seconds that records are
remembered.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.access import KeyScope
from audit.errors import Forbidden, Invalid, NotFound, Unauthenticated
from audit.instants import floor_ms, format_instant, parse_instant, utc_now
from store.protocol import Records
from store.remembered import RememberedRecords

KIND = "key"
PREFIX = "tk_"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its owner may see it: everything but the secret. `organization_id` None: every organization."""

    id: str
    scope: KeyScope
    organization_id: str | None
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """Tell whether it is `active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class Keys:
    """The keys of this deployment, over its records."""

    def __init__(self, records: Records | RememberedRecords, clock: Callable[[], datetime] = utc_now) -> None:
        self._remembered = records if isinstance(records, RememberedRecords) else RememberedRecords(records)
        self._clock = clock

    def create(
        self,
        scope: KeyScope,
        organization_id: str | None,
        name: str,
        expires_at: datetime | None = None,
        *,
        first: Callable[[Key], None] = lambda key: None,
    ) -> tuple[Key, str]:
        """Make a key; return it with its token, which nobody can see again.

        `first` is called with it before it works: what raises there, like a trail that can't record it, leaves no key.
        """
        if scope is KeyScope.READ and organization_id is None:
            raise Invalid(
                "A key that reads belongs to one organization.",
                field="organization_id",
                fix="Name the organization whose trail it may read.",
            )
        key_id = base64.b32encode(secrets.token_bytes(10)).decode().lower()
        token = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        key = Key(key_id, scope, organization_id, name, floor_ms(self._clock()), expires_at)
        first(key)
        self._remembered.records.put(KIND, key_id, _to_body(key, _digest(token)), version=None)
        self._remembered.forget(KIND)
        return key, token

    def all(self) -> Sequence[Key]:
        """List all keys, oldest first."""
        bodies = self._remembered.all(KIND, max_age=0, wait=True)
        return sorted((_to_key(key_id, body) for key_id, body in bodies.items()), key=lambda key: key.created_at)

    def revoke(self, key_id: str, *, first: Callable[[Key], None] = lambda key: None) -> Key:
        """Stop a key from working, for good; `first` is called with it before. Raises NotFound."""
        record = self._remembered.records.get(KIND, key_id)
        if record is None:
            raise NotFound(f"There is no key {key_id!r}.", fix="List them with `trailkeeper keys list`.")
        if record.body["revoked_at"] is None:
            first(_to_key(key_id, record.body))
            body = {**record.body, "revoked_at": format_instant(self._clock())}
            record = self._remembered.records.put(KIND, key_id, body, version=record.version)
            self._remembered.forget(KIND)
        return _to_key(key_id, record.body)

    def verify(self, token: str, scope: KeyScope) -> Key:
        """Return the key of a token that holds.

        Raises Unauthenticated for a token that is unknown, revoked or expired, without telling which; Forbidden for a
        key of another scope.
        """
        key_id = token.removeprefix(PREFIX).partition("_")[0]
        # A key that was made a moment ago is asked for at most once a second; guesses must not become queries.
        body = self._remembered.all(KIND).get(key_id) or self._remembered.all(KIND, max_age=1, wait=True).get(key_id)
        # Compared even where there is no such key, so that the time it takes tells nothing.
        held = hmac.compare_digest(_digest(token), body["digest"] if body else "0" * 64)
        if body is None or not held or (key := _to_key(key_id, body)).state(self._clock()) != "active":
            raise Unauthenticated(
                "The API key is not known, or no longer works.", fix="Make one with `trailkeeper keys create`."
            )
        if key.scope is not scope:
            raise Forbidden(
                f"This key may {key.scope}, not {scope}.",
                fix=f"Make one with `trailkeeper keys create --scope {scope}`.",
            )
        return key


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _to_body(key: Key, digest: str) -> dict[str, Any]:
    return {
        "scope": str(key.scope),
        "organization_id": key.organization_id,
        "name": key.name,
        "created_at": format_instant(key.created_at),
        "expires_at": key.expires_at and format_instant(key.expires_at),
        "revoked_at": key.revoked_at and format_instant(key.revoked_at),
        "digest": digest,
    }


def _to_key(key_id: str, body: Mapping[str, Any]) -> Key:
    def instant(name: str) -> datetime | None:
        return parse_instant(body[name]) if body[name] is not None else None

    return Key(
        key_id,
        KeyScope(body["scope"]),
        body["organization_id"],
        body["name"],
        parse_instant(body["created_at"]),
        instant("expires_at"),
        instant("revoked_at"),
    )
