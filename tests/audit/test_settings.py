"""Settings: each from its variable, secrets from files, and a bad value named by its variable."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from audit.errors import ConfigurationError
from audit.settings import PREFIX, Settings, load_settings, settings_table
from audit.wire import Limits

SECRETS = [name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None]
LONG = "a secret that has more than thirty-two bytes"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take whatever this machine sets out of the environment."""
    for name in [*os.environ]:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    assert Settings.model_fields[name].description


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table(name: str) -> None:
    assert f"| `{PREFIX}{name.upper()}`" in settings_table()


def test_the_defaults_hold_together() -> None:
    assert load_settings().store_url.startswith("sqlite:")


def test_the_limits_are_the_designs() -> None:
    assert load_settings().limits == Limits(event_bytes=64 * 1024, leaf_bytes=8 * 1024, depth=8)
    assert (load_settings().request_bytes, load_settings().clock_skew_seconds) == (5 * 1024 * 1024, 300)


def test_a_variable_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_PORT", "9000")

    assert load_settings().port == 9000


def test_an_argument_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_PORT", "9000")

    assert load_settings(port=9001).port == 9001


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_JWT_SECRET", "")
    monkeypatch.setenv("TRAILKEEPER_PORT", "")

    assert (load_settings().jwt_secret, load_settings().port) == (None, 8321)


@pytest.mark.parametrize("name", SECRETS)
class TestSecrets:
    def test_it_may_come_from_a_file(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "secret"
        path.write_text(LONG + "\n")
        monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(path))

        assert getattr(load_settings(), name).get_secret_value() == LONG

    def test_the_variable_itself_wins(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "secret"
        path.write_text("another secret that has more than thirty-two bytes")
        monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(path))
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", LONG)

        assert getattr(load_settings(), name).get_secret_value() == LONG

    def test_a_file_that_is_not_there_is_named(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(tmp_path / "gone"))

        with pytest.raises(ConfigurationError, match="gone") as refusal:
            load_settings()
        assert refusal.value.field == f"{PREFIX}{name.upper()}_FILE"

    def test_it_is_not_shown(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", LONG)

        assert LONG not in repr(load_settings())


BAD = {
    "PORT": "many",
    "SPOOL_BYTES": "1",
    "LOG_ID": "Not a name",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "RETENTION": "90",
    "CATALOG": "closed",
    "DEPTH": "0",
    "EVENT_BYTES": "9999999999",
    "CLOCK_SKEW_SECONDS": "100000000000000000",
    "INDEX_REPLICAS": "some",
    "JWT_ALGORITHMS": "none",
    "STORE_VERIFY": "perhaps",
    "RELAY_CONCURRENCY": "0",
    "ACK_TIMEOUT_SECONDS": "0",
    "REQUEST_TIMEOUT_SECONDS": "0",
    "JWT_SECRET": "short",
}


@pytest.mark.parametrize(("name", "value"), BAD.items(), ids=list(BAD))
def test_a_bad_value_is_named_by_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name, value)

    with pytest.raises(ConfigurationError) as refusal:
        load_settings()

    assert refusal.value.field == PREFIX + name
    assert PREFIX + name in refusal.value.detail


def test_a_bad_secret_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_JWT_SECRET", "hunter2")

    with pytest.raises(ConfigurationError) as refusal:
        load_settings()
    assert "hunter2" not in str(refusal.value)


def test_a_secret_and_a_jwks_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_JWT_SECRET", LONG)
    monkeypatch.setenv("TRAILKEEPER_JWT_JWKS_URL", "https://example.com/jwks")

    with pytest.raises(ConfigurationError, match="either TRAILKEEPER_JWT_SECRET or a JWKS"):
        load_settings()


def test_algorithms_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAILKEEPER_JWT_ALGORITHMS", "RS256, ES256")

    assert load_settings().jwt_algorithms == ("RS256", "ES256")
