"""Who a token says somebody is, and which tokens are believed. See test_security_matrix.py for each endpoint."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from audit.access import KeyScope
from audit.errors import ConfigurationError, Unauthenticated
from audit.settings import Settings
from search_api.tokens import MAXIMUM_TOKEN, Tokens
from tests.search_api.trail import SECRET, Trail, claims, token, unsigned


def principal(**changed: Any) -> Any:
    """The principal of a token with these claims."""
    return Tokens(Settings(jwt_secret=SECRET)).principal(token("org_1", "owner", **changed))


def get(trail: Trail, *authorization: str) -> httpx.Response:
    return trail.client(None).get(trail.path, headers=[("Authorization", value) for value in authorization])


class TestHeader:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_the_schemes_name_has_no_case(self, embedded: Trail, scheme: str):
        assert get(embedded, f"{scheme} {token(embedded.organization_id)}").status_code == 200

    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dTpw", "token", "Bearer a b", "Bearer tk_"])
    def test_another_form_is_401(self, embedded: Trail, value: str):
        assert get(embedded, value).status_code == 401

    def test_two_headers_are_401_even_where_both_hold(self, embedded: Trail):
        value = f"Bearer {token(embedded.organization_id)}"

        assert get(embedded, value, value).status_code == 401

    def test_a_token_in_the_url_is_no_token(self, embedded: Trail):
        url = f"{embedded.path}?access_token={token(embedded.organization_id)}"

        assert embedded.client(None).get(url).status_code == 401


class TestJwt:
    def test_its_claims_make_the_principal(self):
        found = principal(sub="u_7", name="Ada", email="ada@example.com", entitlements=["audit_logs"])

        assert (found.organization_id, found.type, found.id, found.role) == ("org_1", "user", "u_7", "owner")
        assert ("Ada", "ada@example.com", {"audit_logs"}) == (found.name, found.email, found.entitlements)

    def test_claims_may_have_other_names(self):
        settings = Settings(jwt_secret=SECRET, claim_organization="https://example.com/org", claim_role="r")
        content = claims("x", **{"https://example.com/org": "org_2", "r": "admin"})

        found = Tokens(settings).principal(jwt.encode(content, SECRET, "HS256"))

        assert (found.organization_id, found.role) == ("org_2", "admin")

    @pytest.mark.parametrize(
        "changed",
        [
            {"exp": None},
            {"iss": None},
            {"aud": None},
            {"sub": None},
            {"organization_id": None},
            {"exp": datetime.now(UTC) - timedelta(days=1)},
            {"nbf": datetime.now(UTC) + timedelta(days=1)},
            {"exp": "soon"},
            {"exp": float("inf")},
            {"exp": float("nan")},
            {"iss": "trailkeeper2"},
            {"aud": "other"},
            {"aud": ["other"]},
            {"aud": {"trailkeeper": 1}},
            {"sub": ""},
            {"sub": "x" * 257},
            {"sub": "a\0b"},
            {"sub": "a\nb"},
            {"sub": "\ud800"},
            {"organization_id": ""},
            {"organization_id": ["org_1"]},
            {"organization_id": "x" * 129},
        ],
        ids=str,
    )
    def test_claims_that_do_not_hold_are_refused(self, changed: dict[str, Any]):
        with pytest.raises(Unauthenticated, match="does not hold"):
            principal(**changed)

    def test_several_audiences_may_be_named(self):
        assert principal(aud=["other", "trailkeeper"]).id == "u_owner"

    def test_clocks_may_differ_by_the_leeway(self):
        assert principal(exp=datetime.now(UTC) - timedelta(seconds=20)).id == "u_owner"

    @pytest.mark.parametrize("name", ["", "a\0b", "\ud800", 7, ["x"], "\x1b[2J"])
    def test_a_name_that_can_not_be_stored_is_left_out(self, name: Any):
        assert principal(name=name, email=name).name is None

    def test_a_long_name_is_cut(self):
        assert (len(principal(name="x" * 999).name), len(principal(email="x" * 999).email)) == (256, 320)

    @pytest.mark.parametrize("role", [["owner"], {"owner": True}, 1, True])
    def test_a_role_of_another_type_is_no_role(self, role: Any):
        assert principal(role=role).role == ""

    def test_the_signature_is_checked(self):
        with pytest.raises(Unauthenticated):
            Tokens(Settings(jwt_secret=SECRET)).principal(token("org_1", secret=SECRET + "x"))

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS384", "HS512", "RS256", "", None, 1, ["HS256"]])
    def test_the_token_does_not_choose_its_algorithm(self, algorithm: Any):
        with pytest.raises(Unauthenticated):
            Tokens(Settings(jwt_secret=SECRET)).principal(unsigned(claims("org_1"), {"alg": algorithm, "typ": "JWT"}))

    def test_an_extension_that_must_be_understood_is_refused(self):
        extended = jwt.encode(claims("org_1"), SECRET, "HS256", headers={"crit": ["x"], "x": 1})

        with pytest.raises(Unauthenticated):
            Tokens(Settings(jwt_secret=SECRET)).principal(extended)

    def test_a_very_long_one_is_refused_unread(self):
        with pytest.raises(Unauthenticated):
            principal(name="x" * MAXIMUM_TOKEN)

    def test_a_header_nested_too_deeply_is_refused(self):
        header = base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode()

        with pytest.raises(Unauthenticated):
            Tokens(Settings(jwt_secret=SECRET)).principal(f"{header}.e30.x")

    @given(st.text(st.characters(max_codepoint=127)) | st.lists(st.text("ey0=_-A"), min_size=3).map(".".join))
    def test_any_other_text_is_refused(self, text: str):
        with pytest.raises(Unauthenticated):
            Tokens(Settings(jwt_secret=SECRET)).principal(text)

    def test_the_log_says_why_and_never_what(self):
        with capture_logs() as logs, pytest.raises(Unauthenticated):
            principal(iss="elsewhere")

        assert [(entry["event"], entry["reason"]) for entry in logs] == [
            ("token_refused", "InvalidIssuerError: Invalid issuer")
        ]


class TestSettings:
    def test_without_jwt_settings_every_jwt_is_401_and_the_operator_is_told_once(self, embedded: Trail):
        embedded.settings = {"jwt_secret": None}
        client = embedded.client()

        with capture_logs() as logs:
            responses = [client.get(embedded.path) for _ in range(3)]

        assert [response.status_code for response in responses] == [401] * 3
        assert "TRAILKEEPER_JWT_JWKS_URL" in responses[0].json()["fix"]
        assert [entry["event"] for entry in logs] == ["jwt_not_configured"]

    @pytest.mark.parametrize("bearer", [unsigned(claims("org_1"), {"alg": "none"}), token("org_1", secret="x" * 32)])
    def test_without_jwt_settings_no_token_opens(self, bearer: str):
        with pytest.raises(Unauthenticated):
            Tokens(Settings()).principal(bearer)

    def test_a_secret_goes_with_hs256_alone(self):
        with pytest.raises(ConfigurationError, match="RS256"):
            Tokens(Settings(jwt_secret=SECRET, jwt_algorithms=("HS256", "RS256")))

    def test_a_jwks_never_goes_with_hs256(self):
        with pytest.raises(ConfigurationError, match="HS256"):
            Tokens(Settings(jwt_jwks_url="https://id.example.com/keys", jwt_algorithms=("RS256", "HS256")))


class TestApiKey:
    def test_one_that_reads_is_an_admin_of_its_organization(self, embedded: Trail):
        key, bearer = embedded.keys.create(KeyScope.READ, embedded.organization_id, "nightly report")

        assert embedded.client(bearer).get(embedded.path).status_code == 200
        actor = embedded.recorded[0].actor
        assert ("api_key", key.id, "nightly report") == (actor.type, actor.id, actor.name)

    def test_it_needs_no_entitlement_of_its_own(self, embedded: Trail):
        embedded.settings = {"entitlement": "audit_logs"}
        _, bearer = embedded.keys.create(KeyScope.READ, embedded.organization_id, "report")

        assert embedded.client(bearer).get(embedded.path).status_code == 200

    def test_of_another_organization_it_is_404(self, embedded: Trail):
        _, bearer = embedded.keys.create(KeyScope.READ, "org_other", "report")

        assert embedded.client(bearer).get(embedded.path).status_code == 404

    @pytest.mark.parametrize("organization_id", [None, "own"])
    def test_one_that_writes_is_403(self, embedded: Trail, organization_id: str | None):
        own = embedded.organization_id if organization_id else None
        _, bearer = embedded.keys.create(KeyScope.INGEST, own, "gateway")

        assert embedded.client(bearer).get(embedded.path).status_code == 403

    def test_revoked_it_is_401(self, embedded: Trail):
        key, bearer = embedded.keys.create(KeyScope.READ, embedded.organization_id, "report")
        client = embedded.client(bearer)
        assert client.get(embedded.path).status_code == 200

        embedded.keys.revoke(key.id)

        assert client.get(embedded.path).status_code == 401

    def test_expired_it_is_401(self, embedded: Trail):
        past = datetime.now(UTC) - timedelta(seconds=1)
        _, bearer = embedded.keys.create(KeyScope.READ, embedded.organization_id, "report", expires_at=past)

        assert embedded.client(bearer).get(embedded.path).status_code == 401

    def test_with_another_secret_it_is_401(self, embedded: Trail):
        key, _ = embedded.keys.create(KeyScope.READ, embedded.organization_id, "report")

        assert embedded.client(f"tk_{key.id}_{'x' * 43}").get(embedded.path).status_code == 401
