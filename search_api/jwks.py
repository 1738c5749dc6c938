"""The identity provider's keys (JWKS, RFC 7517): fetched, kept for a while, fetched again when a token names a new one.

PyJWT's own client forgets its keys when the provider is away, and asks again for each token with a made-up key id. Here the
last keys serve for up to an hour, and the provider is asked at most once in `cooldown` seconds, whatever arrives.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jwt
import structlog

from audit.errors import ConfigurationError, Unavailable

LIFESPAN_SECONDS = 300.0
COOLDOWN_SECONDS = 10.0
STALE_SECONDS = 3600.0
TIMEOUT_SECONDS = 5.0

_log = structlog.get_logger("trailkeeper.search")


class KeySet:
    """The keys that tokens may be signed with. `fetch` gives the JWKS document; the times are in seconds."""

    def __init__(
        self,
        fetch: Callable[[], dict[str, Any]],
        algorithms: Sequence[str],
        *,
        lifespan: float = LIFESPAN_SECONDS,
        cooldown: float = COOLDOWN_SECONDS,
        stale: float = STALE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._algorithms = frozenset(algorithms)
        self._lifespan = lifespan
        self._cooldown = cooldown
        self._stale = stale
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key of this id, or None. Without an id, the only key there is (RFC 7515, section 4.1.4).

        Raises Unavailable where the provider has not answered for so long that its keys can't be trusted any more.
        """
        key = self._pick(key_id)
        if key is None or self._clock() - self._fetched_at >= self._lifespan:
            # Who has a known key doesn't wait for somebody else's fetch.
            self._refetch(wait=key is None)
            key = self._pick(key_id)
        if self._clock() - self._fetched_at >= self._stale:
            raise Unavailable(
                "The identity provider's keys can't be had right now.",
                fix="Try again later; the operator finds the reason in the log.",
                retry_after=int(self._cooldown) or 1,
            )
        return key

    def _pick(self, key_id: str | None) -> jwt.PyJWK | None:
        keys = self._keys
        if key_id is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == key_id), None)

    def _refetch(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._clock() - self._asked_at < self._cooldown:
                return
            self._asked_at = self._clock()
            document = jwt.PyJWKSet.from_dict(self._fetch())
            # A symmetric key has no place in a published set; encryption keys and other algorithms are not for us.
            self._keys = tuple(
                key
                for key in document.keys
                if key.key_type != "oct" and key.public_key_use != "enc" and key.algorithm_name in self._algorithms
            )
            self._fetched_at = self._clock()
            if not self._keys:
                _log.warning("jwks_without_a_usable_key", algorithms=sorted(self._algorithms))
        except Exception as error:  # whatever a provider sends that is no key set, it is an outage
            _log.warning("jwks_fetch_failed", error=str(error))
        finally:
            self._lock.release()


def from_url(url: str) -> Callable[[], dict[str, Any]]:
    """Fetch from the provider: http and https alone, no redirects followed."""
    try:
        client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT_SECONDS)
    except jwt.PyJWKClientError as error:
        raise ConfigurationError(
            f"The address of the identity provider's keys can't be used: {error}",
            field="TRAILKEEPER_JWT_JWKS_URL",
            fix="Give an https address.",
        ) from None
    return client.fetch_data


def from_file(path: Path) -> Callable[[], dict[str, Any]]:
    """Read a file, now and whenever keys are fetched again. Raises ConfigurationError where it can't be read."""

    def read() -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(path.read_text("utf-8"))
            jwt.PyJWKSet.from_dict(document)
        except (OSError, ValueError, AttributeError, TypeError, jwt.PyJWTError) as error:
            raise ConfigurationError(
                f"The key file {path} can't be used: {error}.",
                field="TRAILKEEPER_JWT_JWKS_FILE",
                fix="Name a JSON file with a JWK Set (RFC 7517, section 5).",
            ) from None
        return document

    read()
    return read
