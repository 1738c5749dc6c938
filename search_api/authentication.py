"""A bearer token (RFC 6750) into a principal: `tk_…` is an API key, everything else a JWT."""

from collections.abc import Sequence

from audit.access import KeyScope, Principal
from audit.errors import Unauthenticated
from audit.event import ActorType
from audit.settings import Settings
from search_api.tokens import Tokens
from store.keys import PREFIX, Keys


class Authentication:
    """Tells who sent a request."""

    def __init__(self, keys: Keys, tokens: Tokens, settings: Settings) -> None:
        self._keys = keys
        self._tokens = tokens
        # A key is made by the operator for one organization: the plan was looked at then.
        self._entitlements = frozenset({settings.entitlement} if settings.entitlement else ())

    def principal(self, authorization: Sequence[str]) -> Principal:
        """Return who the Authorization headers are about.

        Raises Unauthenticated for none, several, another scheme, or a token that doesn't hold; Forbidden for a key that
        may only write; Unavailable where a token can't be checked right now.
        """
        if len(authorization) != 1:
            raise Unauthenticated(
                "There is no bearer token." if not authorization else "There is more than one Authorization header.",
                fix="Send the header Authorization: Bearer <token>, once.",
            )
        scheme, _, token = authorization[0].strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or not token.isascii():
            raise Unauthenticated(
                "The Authorization header holds no bearer token.",
                fix="Send the header Authorization: Bearer <token>.",
            )
        return self._of_key(token) if token.startswith(PREFIX) else self._tokens.principal(token)

    def _of_key(self, token: str) -> Principal:
        key = self._keys.verify(token, KeyScope.READ)
        if key.organization_id is None:
            raise Unauthenticated(
                "The API key belongs to no organization.", fix="Make one with `trailkeeper keys create`."
            )
        return Principal(
            organization_id=key.organization_id,
            type=ActorType.API_KEY,
            id=key.id,
            role="admin",
            name=key.name[:256] or None,
            entitlements=self._entitlements,
        )
