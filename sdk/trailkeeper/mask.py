"""Secrets by the name of their key: what looks like one shows as `***`.

Better one field masked too many than one secret on a trail that nobody can rewrite. Names are read word by word, in
snake, kebab and camel case: `password_hash`, `apiKey` and `client-secret` are secrets; `token_count`, `max_tokens`,
`api_key_id` and `password_changed_at` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

MASK = "***"

_words = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+").findall
# Secret wherever the word stands.
_ALWAYS = frozenset(
    {"password", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets", "credential", "credentials"}
)  # fmt: skip
# Secret as the last word, or before one of _FORMS.
_LAST = frozenset({"token", "authorization", "cookie", "jwt", "otp", "pin", "pem", "bearer", "apikey"})
_KEY_KINDS = frozenset(
    {"api", "private", "access", "signing", "encryption", "provider", "master", "ssh", "hmac", "ingest", "service", "shared"}
)  # fmt: skip
_FORMS = frozenset({"value", "hash", "hashed", "digest", "material", "plaintext", "ciphertext", "encrypted", "raw"})
# A fact about a secret, and none itself.
_FACTS = frozenset(
    {
        "id", "ids", "name", "names", "count", "limit", "limits", "at", "on", "type", "kind", "enabled", "disabled",
        "required", "policy", "length", "ttl", "expiry", "expires", "version", "status", "age", "days", "url", "uri",
        "budget", "usage", "used", "set", "provider", "strength", "scope", "scopes", "last4",
    }
)  # fmt: skip


@lru_cache(maxsize=2048)
def is_secret(key: str) -> bool:
    """Tell whether a key names a secret."""
    words = [word.lower() for word in _words(key)]
    if not words or words[-1] in _FACTS:
        return False
    if _ALWAYS.intersection(words):
        return True
    formed = words[-1] in _FORMS
    if formed:
        words.pop()
    if not words:
        return False
    if words[-1] in _LAST or (
        words[-1] == "tokens" and words[:-1] and words[-2] in ("access", "refresh", "auth", "bearer")
    ):
        return True
    if words[-1] in ("key", "keys"):
        return formed or (len(words) > 1 and words[-2] in _KEY_KINDS)
    return False


def mask(value: Any, *, secrets: Iterable[str] = ()) -> Any:
    """Copy a value with every secret in it replaced by `***`, at any depth; `secrets` are more key names.

    Mappings, sequences, dataclasses and models with `model_dump` are gone through; None, True and False stay, for they
    say whether there is a secret and not which.
    """
    return masked(value, frozenset(map(str, secrets)), 0)


def masked(value: Any, more: frozenset[str], depth: int) -> Any:
    """Do the work of `mask`."""
    if depth > 32:
        return MASK
    members = as_mapping(value)
    if members is not None:
        return {
            key: hide(item) if str(key) in more or is_secret(str(key)) else masked(item, more, depth + 1)
            for key, item in members.items()
        }
    if isinstance(value, list | tuple):
        return [masked(item, more, depth + 1) for item in value]
    return value


def hide(value: Any) -> Any:
    """Show that there is a secret, and nothing of it."""
    return value if value is None or isinstance(value, bool) else MASK


def as_mapping(value: Any) -> Mapping[Any, Any] | None:
    """Read a mapping, a dataclass or a model as a mapping; None for what is none of these."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and isinstance(content := dump(), Mapping):
        return content
    return None
