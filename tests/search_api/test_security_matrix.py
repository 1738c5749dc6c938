"""Every endpoint × every kind of token, with the exact status.

The endpoints come from the application's own routes: one that is added without its row here fails.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from starlette.routing import BaseRoute

from audit.access import KeyScope
from tests.search_api.provider import Provider, private_key
from tests.search_api.trail import Trail, claims, token, unsigned

AUDIT_LOGS = "/v1/organizations/{organization_id:path}/audit-logs"

GUARDED = {("GET", AUDIT_LOGS), ("GET", f"{AUDIT_LOGS}/filters"), ("GET", f"{AUDIT_LOGS}/{{id}}")}
"""Endpoints that show something of a trail: each goes through the whole matrix."""

PUBLIC = {("GET", path) for path in ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")}
"""Endpoints that answer anybody, and say nothing about anybody."""


@dataclass
class World:
    """An organization with one event, its identity provider, and an application over both."""

    trail: Trail
    provider: Provider
    app: FastAPI
    event_id: str

    def get(self, path: str, bearer: str | None) -> httpx.Response:
        organization_id = self.trail.organization_id
        path = path.replace("{organization_id:path}", organization_id).replace("{id}", self.event_id)
        return self.trail.client(bearer, app=self.app).get(path)

    def jwt(self, **changed: Any) -> str:
        return self.provider.token(changed.pop("organization_id", self.trail.organization_id), **changed)

    def key(self, scope: KeyScope = KeyScope.READ, organization_id: str | None = None) -> str:
        return self.trail.keys.create(scope, organization_id or self.trail.organization_id, "key")[1]

    def revoked_key(self) -> str:
        key, bearer = self.trail.keys.create(KeyScope.READ, self.trail.organization_id, "key")
        self.trail.keys.revoke(key.id)
        return bearer

    def signed_with_the_public_key(self) -> str:
        """The published key taken as an HMAC secret (RFC 8725, section 2.1)."""
        public = private_key("RS256", "k1").public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        content = unsigned(claims(self.trail.organization_id), {"alg": "HS256", "typ": "JWT", "kid": "k1"})[:-1]
        signature = hmac.digest(pem, content.encode(), hashlib.sha256)
        return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


past = datetime.now(UTC) - timedelta(hours=1)

MATRIX: dict[str, tuple[int, Callable[[World], str | None]]] = {
    "no token": (401, lambda world: None),
    "garbage": (401, lambda world: "garbage"),
    "garbage of three parts": (401, lambda world: "a.b.c"),
    "expired": (401, lambda world: world.jwt(exp=past)),
    "no expiry": (401, lambda world: world.jwt(exp=None)),
    "wrong audience": (401, lambda world: world.jwt(aud="other")),
    "wrong issuer": (401, lambda world: world.jwt(iss="other")),
    "alg none": (401, lambda world: unsigned(claims(world.trail.organization_id), {"alg": "none"})),
    "alg none, known kid": (
        401,
        lambda world: unsigned(claims(world.trail.organization_id), {"alg": "none", "kid": "k1"}),
    ),
    "HS256 with the RSA public key": (401, lambda world: world.signed_with_the_public_key()),
    "HS256 with another deployment's secret": (401, lambda world: token(world.trail.organization_id)),
    "unknown kid": (401, lambda world: world.jwt(key_id="k9")),
    "known kid, another key": (401, lambda world: world.jwt(key_id="k9", kid="k1")),
    "key unknown": (401, lambda world: "tk_aaaaaaaaaaaaaaaa_" + "x" * 43),
    "key revoked": (401, lambda world: world.revoked_key()),
    "role developer": (403, lambda world: world.jwt(role="developer")),
    "no role": (403, lambda world: world.jwt(role=None)),
    "key that writes": (403, lambda world: world.key(KeyScope.INGEST)),
    "other organization's owner": (404, lambda world: world.jwt(organization_id="org_other")),
    "other organization's developer": (404, lambda world: world.jwt(organization_id="org_other", role="developer")),
    "other organization's key": (404, lambda world: world.key(organization_id="org_other")),
    "owner": (200, lambda world: world.jwt()),
    "admin": (200, lambda world: world.jwt(role="admin")),
    "key that reads": (200, lambda world: world.key()),
}


@pytest.fixture
def world(embedded: Trail, provider: Provider) -> World:
    embedded.settings = {"jwt_secret": None, "jwt_jwks_url": provider.url}
    (event,) = embedded.add({})
    return World(embedded, provider, embedded.app(), event["id"])


def routes(candidates: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of each route, those of included routers too."""
    for route in candidates:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from routes(included.routes)
        else:
            for method in route.methods or {"*"}:  # type: ignore[attr-defined]
                yield method, route.path  # type: ignore[attr-defined]


def test_every_endpoint_has_its_row(world: World):
    found = {(method, path) for method, path in routes(world.app.router.routes) if method != "HEAD"}

    assert found == GUARDED | PUBLIC


def test_every_documented_endpoint_is_among_them(world: World):
    documented = {
        (method.upper(), path.replace("{organization_id}", "{organization_id:path}"))
        for path, item in world.app.openapi()["paths"].items()
        for method in item
    }

    assert documented <= GUARDED | PUBLIC


@pytest.mark.parametrize("path", sorted(path for _, path in GUARDED))
@pytest.mark.parametrize("kind", MATRIX)
def test_matrix(world: World, path: str, kind: str):
    status, bearer = MATRIX[kind]

    response = world.get(path, bearer(world))

    assert response.status_code == status
    assert (world.event_id in response.text) == (status == 200 and not path.endswith("filters"))
    assert len(world.trail.recorded) == (status == 200)
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert world.trail.organization_id not in response.text
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer ")
        assert ("invalid_token" in response.headers["www-authenticate"]) == (kind != "no token")


@pytest.mark.parametrize("path", sorted(path for _, path in PUBLIC))
@pytest.mark.parametrize("bearer", [None, "garbage"])
def test_public_endpoints_answer_anybody_and_record_nothing(world: World, path: str, bearer: str | None):
    response = world.get(path, bearer)

    assert response.status_code == 200
    assert world.trail.organization_id not in response.text
    assert world.trail.recorded == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "NONSENSE"])
def test_nothing_but_get_is_answered(world: World, method: str):
    for _, path in sorted(GUARDED):
        url = path.replace("{organization_id:path}", world.trail.organization_id).replace("{id}", world.event_id)

        assert world.trail.client(world.jwt(), app=world.app).request(method, url).status_code == 405
    assert world.trail.recorded == []
