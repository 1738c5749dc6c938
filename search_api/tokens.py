"""What a JWT must hold before it is believed (RFC 7519, and RFC 8725 on how they are attacked).

The algorithms come from the settings and never from the token; each key serves its own algorithm alone. Issuer, audience,
expiry and subject are required. To the outside every refusal looks the same; the log says which it was.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import jwt
import structlog
from pydantic import ValidationError

from audit.access import Principal
from audit.errors import ConfigurationError, Unauthenticated
from audit.event import Actor, ActorType
from audit.settings import Settings
from search_api.jwks import KeySet, from_file, from_url

MAXIMUM_TOKEN = 8192
"""Characters. Longer ones are refused unread."""

_SYMMETRIC = ("HS256",)
_ASYMMETRIC = ("RS256", "ES256", "EdDSA")
_log = structlog.get_logger("trailkeeper.search")
_control = re.compile("[\x00-\x1f\x7f]")

# (algorithm, key id) → the key, or None.
_FindKey = Callable[[str, str | None], Any]


class Tokens:
    """Turns JWTs into principals, as the settings say. Raises ConfigurationError for settings that contradict."""

    def __init__(self, settings: Settings, key_set: KeySet | None = None) -> None:
        self._settings = settings
        self._algorithms, self._find_key = _keys(settings, key_set)
        self._told = False

    def principal(self, token: str) -> Principal:
        """Return who the token is about.

        Raises Unauthenticated for one that doesn't hold; Unavailable where the identity provider's keys can't be had.
        """
        if self._find_key is None:
            self._refuse_unconfigured()
        if len(token) > MAXIMUM_TOKEN:
            _refuse("longer than any token should be")
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in self._algorithms:
                _refuse(f"the algorithm {algorithm!r} is not taken")
            key = self._find_key(algorithm, key_id)
            if key is None:
                _refuse("no such key")
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.jwt_audience,
                issuer=self._settings.jwt_issuer,
                leeway=self._settings.jwt_leeway_seconds,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        # Besides PyJWT's own: UnicodeError and oversized numbers are ValueErrors, and a header may be nested too deeply.
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            _refuse(f"{type(error).__name__}: {error}")
        return self._believe(claims)

    def _believe(self, claims: Mapping[str, Any]) -> Principal:
        names = self._settings
        organization_id = claims.get(names.claim_organization)
        if not isinstance(organization_id, str) or not 0 < len(organization_id) <= 128:
            _refuse(f"no organization in the claim {names.claim_organization!r}")
        subject = claims["sub"]
        try:
            Actor(type=ActorType.USER, id=subject)
        except ValidationError:
            _refuse("the subject can't be an actor's id")
        if _control.search(subject):
            _refuse("the subject has control characters")
        role = claims.get(names.claim_role)
        return Principal(
            organization_id=organization_id,
            type=ActorType.USER,
            id=subject,
            role=role if isinstance(role, str) else "",
            name=_shown(claims.get(names.claim_name), 256),
            email=_shown(claims.get(names.claim_email), 320),
            entitlements=_words(claims.get(names.claim_entitlements)),
        )

    def _refuse_unconfigured(self) -> NoReturn:
        if not self._told:
            self._told = True
            _log.error("jwt_not_configured", fix="Set TRAILKEEPER_JWT_SECRET or TRAILKEEPER_JWT_JWKS_URL.")
        raise Unauthenticated(
            "This service can't check such a token: it has no JWT settings.",
            fix="The operator sets TRAILKEEPER_JWT_JWKS_URL, or TRAILKEEPER_JWT_SECRET for development.",
        )


def _keys(settings: Settings, key_set: KeySet | None) -> tuple[frozenset[str], _FindKey | None]:
    """Decide which algorithms are taken, and where their keys come from."""
    has_jwks = key_set is not None or settings.jwt_jwks_url is not None or settings.jwt_jwks_file is not None
    possible = _ASYMMETRIC if has_jwks else _SYMMETRIC
    algorithms = frozenset(settings.jwt_algorithms or possible)
    if settings.jwt_secret is None and not has_jwks:
        return frozenset(), None
    if wrong := algorithms - set(possible):
        raise ConfigurationError(
            f"{', '.join(sorted(wrong))} doesn't go with {'a JWKS' if has_jwks else 'a secret'}.",
            field="TRAILKEEPER_JWT_ALGORITHMS",
            fix=f"Name algorithms out of {', '.join(possible)}, or leave it unset.",
        )
    if settings.jwt_secret is not None:
        secret = settings.jwt_secret.get_secret_value()
        return algorithms, lambda algorithm, key_id: secret
    if key_set is None:
        if settings.jwt_jwks_url is not None:
            fetch = from_url(settings.jwt_jwks_url)
        else:
            assert settings.jwt_jwks_file is not None
            fetch = from_file(settings.jwt_jwks_file)
        key_set = KeySet(fetch, sorted(algorithms))

    def find(algorithm: str, key_id: str | None) -> Any:
        key = key_set.find(key_id)
        return key.key if key is not None and key.algorithm_name == algorithm else None

    return algorithms, find


def _refuse(reason: str) -> NoReturn:
    _log.info("token_refused", reason=reason[:300])
    raise Unauthenticated("The token does not hold.", fix="Sign in again, and send the new token.")


def _shown(value: object, maximum: int) -> str | None:
    """A name as it may stand in an event: cut to its length; dropped where it could not be stored."""
    if not isinstance(value, str) or not value or _control.search(value):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return value[:maximum]


def _words(value: object) -> frozenset[str]:
    """Entitlements as a list, or as words in one string."""
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
