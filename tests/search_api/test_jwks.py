"""Keys from the identity provider, over real HTTP: rotation, outages, and who may make us ask."""

import json
from pathlib import Path
from typing import Any

import pytest

from audit.errors import ConfigurationError, Unavailable
from audit.settings import Settings
from search_api import jwks
from search_api.jwks import KeySet
from search_api.tokens import Tokens
from tests.search_api.provider import Provider
from tests.search_api.trail import Seconds, Trail

ALGORITHMS = ("RS256", "ES256", "EdDSA")


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def keys(provider: Provider, seconds: Seconds) -> KeySet:
    return KeySet(jwks.from_url(provider.url), ALGORITHMS, lifespan=300, cooldown=10, stale=3600, clock=seconds)


def of(trail: Trail, provider: Provider, bearer: str) -> int:
    trail.settings = {"jwt_secret": None, "jwt_jwks_url": provider.url}
    return trail.client(bearer).get(trail.path).status_code


class TestTokens:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_each_algorithm_holds(self, embedded: Trail, provider: Provider, algorithm: str):
        provider.publish((algorithm, "k1"))

        assert of(embedded, provider, provider.token(embedded.organization_id, algorithm)) == 200

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_each_is_refused_with_another_key(self, embedded: Trail, provider: Provider, algorithm: str):
        provider.publish((algorithm, "k1"))

        assert of(embedded, provider, provider.token(embedded.organization_id, algorithm, "other", kid="k1")) == 401

    def test_an_algorithm_outside_the_settings_is_refused(self, provider: Provider):
        provider.publish(("RS256", "k1"), ("ES256", "e1"))
        tokens = Tokens(Settings(jwt_jwks_url=provider.url, jwt_algorithms=("ES256",)))

        assert tokens.principal(provider.token("org_1", "ES256", "e1")).role == "owner"
        with pytest.raises(Exception, match="does not hold"):
            tokens.principal(provider.token("org_1", "RS256", "k1"))

    def test_the_only_key_serves_a_token_that_names_none(self, embedded: Trail, provider: Provider):
        assert of(embedded, provider, provider.token(embedded.organization_id, kid=None)) == 200

    def test_among_several_a_token_has_to_name_its_key(self, embedded: Trail, provider: Provider):
        provider.publish(("RS256", "k1"), ("RS256", "k2"))

        assert of(embedded, provider, provider.token(embedded.organization_id, kid=None)) == 401

    def test_a_key_for_encryption_signs_nothing(self, embedded: Trail, provider: Provider):
        provider.publish(("RS256", "k1"), use="enc")

        assert of(embedded, provider, provider.token(embedded.organization_id)) == 401

    def test_a_provider_that_is_away_is_503_and_says_when_to_come_back(self, embedded: Trail, provider: Provider):
        provider.status = 500
        embedded.settings = {"jwt_secret": None, "jwt_jwks_url": provider.url}

        response = embedded.client(provider.token(embedded.organization_id)).get(embedded.path)

        assert (response.status_code, response.headers["retry-after"]) == (503, "10")


class TestFetching:
    def test_keys_are_asked_for_once_in_their_lifespan(self, keys: KeySet, provider: Provider, seconds: Seconds):
        for _ in range(3):
            assert keys.find("k1") is not None
        assert provider.asked == 1

        seconds.now += 300
        keys.find("k1")
        assert provider.asked == 2

    def test_a_new_key_is_fetched_when_a_token_names_it(self, keys: KeySet, provider: Provider, seconds: Seconds):
        keys.find("k1")
        provider.publish(("RS256", "k2"))
        seconds.now += 10

        assert keys.find("k2") is not None
        assert keys.find("k1") is None, "a key that was withdrawn is no longer taken"

    def test_made_up_key_ids_do_not_make_us_ask(self, keys: KeySet, provider: Provider, seconds: Seconds):
        for number in range(100):
            assert keys.find(f"made up {number}") is None
        assert provider.asked == 1

        seconds.now += 10
        keys.find("made up")
        assert provider.asked == 2

    def test_an_outage_is_not_hammered(self, keys: KeySet, provider: Provider):
        provider.status = 500
        for _ in range(10):
            with pytest.raises(Unavailable):
                keys.find("k1")

        assert provider.asked == 1

    def test_known_keys_outlive_an_outage_for_an_hour(self, keys: KeySet, provider: Provider, seconds: Seconds):
        keys.find("k1")
        provider.status = 500

        seconds.now += 3599
        assert keys.find("k1") is not None
        seconds.now += 1
        with pytest.raises(Unavailable):
            keys.find("k1")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"keys": []}', b'{"keys": 1}', b'{"keys": [1]}', b"\xff"])
    def test_an_answer_that_is_no_key_set_is_an_outage(self, keys: KeySet, provider: Provider, body: bytes):
        provider.body = body

        with pytest.raises(Unavailable):
            keys.find("k1")

    def test_redirects_are_not_followed(self, keys: KeySet, provider: Provider):
        provider.status = 302

        with pytest.raises(Unavailable):
            keys.find("k1")

    def test_a_symmetric_key_in_the_set_is_not_taken(self, keys: KeySet, provider: Provider):
        provider.body = json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}]}).encode()

        assert keys.find("k1") is None

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/keys", "keys.json"])
    def test_only_http_is_asked(self, url: str):
        with pytest.raises(ConfigurationError, match="can't be used"):
            Tokens(Settings(jwt_jwks_url=url))


class TestFile:
    def test_keys_come_from_a_file_too(self, embedded: Trail, provider: Provider, tmp_path: Path):
        file = tmp_path / "keys.json"
        file.write_bytes(provider.document())
        embedded.settings = {"jwt_secret": None, "jwt_jwks_file": file}

        client = embedded.client(provider.token(embedded.organization_id))

        assert client.get(embedded.path).status_code == 200
        assert provider.asked == 0

    @pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"keys": [{"kty": "RSA"}]}'])
    def test_one_that_can_not_be_used_is_told_at_the_start(self, tmp_path: Path, content: Any):
        file = tmp_path / "keys.json"
        if content is not None:
            file.write_text(content)

        with pytest.raises(ConfigurationError, match="can't be used"):
            Tokens(Settings(jwt_jwks_file=file))
