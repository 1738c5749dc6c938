"""diff and mask: what changed, and no secret of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailkeeper import diff, mask
from trailkeeper.mask import is_secret


def test_only_fields_that_differ_are_listed() -> None:
    assert diff({"a": 1, "b": 2, "c": [1]}, {"a": 1, "b": 3, "c": [1, 2]}) == {
        "b": {"old": 2, "new": 3},
        "c": {"old": [1], "new": [1, 2]},
    }


def test_a_creation_and_a_deletion_list_every_field() -> None:
    assert diff(None, {"name": "CI"}) == {"name": {"old": None, "new": "CI"}}
    assert diff({"name": "CI"}, None) == {"name": {"old": "CI", "new": None}}


def test_a_secret_shows_as_changed_and_neither_value_is_shown() -> None:
    assert diff({"api_key": "sk-1", "token": None}, {"api_key": "sk-2", "token": "t"}) == {
        "api_key": {"old": "***", "new": "***"},
        "token": {"old": None, "new": "***"},
    }


def test_a_secret_within_a_field_is_masked_too() -> None:
    old = {"auth": {"kind": "basic", "password": "a"}, "hooks": [{"url": "u", "secret": "s"}]}
    new = {"auth": {"kind": "basic", "password": "b"}, "hooks": []}

    assert diff(old, new) == {
        "auth": {
            "old": {"kind": "basic", "password": "***"},
            "new": {"kind": "basic", "password": "***"},
        },
        "hooks": {"old": [{"url": "u", "secret": "***"}], "new": []},
    }


def test_dataclasses_and_models_are_compared_by_their_fields() -> None:
    @dataclasses.dataclass
    class Key:
        name: str
        limit: int | None = None

    class Model:
        def __init__(self, **fields: Any) -> None:
            self.fields = fields

        def model_dump(self) -> dict[str, Any]:
            return self.fields

    assert diff(Key("a"), Key("a", 5)) == {"limit": {"old": None, "new": 5}}
    assert diff(Model(a=1), Model(a=2)) == {"a": {"old": 1, "new": 2}}


def test_more_secrets_and_fields_to_ignore_can_be_named() -> None:
    old, new = {"iban": "DE1", "updated_at": 1}, {"iban": "DE2", "updated_at": 2}

    assert diff(old, new, secrets=["iban"], ignore=["updated_at"]) == {"iban": {"old": "***", "new": "***"}}


def test_what_has_no_fields_cannot_be_compared() -> None:
    with pytest.raises(TypeError, match="not str"):
        diff("a", "b")


def test_mask_copies_and_masks_at_any_depth() -> None:
    value = {"a": {"clientSecret": "s", "ids": [1]}, "b": ({"authorization": "Bearer x"},)}

    assert mask(value) == {"a": {"clientSecret": "***", "ids": [1]}, "b": [{"authorization": "***"}]}
    assert value["a"]["clientSecret"] == "s"  # type: ignore[index]
    assert mask({"iban": "DE1"}, secrets=["iban"]) == {"iban": "***"}


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "PASSWORD",
        "user_password",
        "password_hash",
        "passwordHash",
        "passwd",
        "pwd",
        "secret",
        "client_secret",
        "clientSecret",
        "client-secret",
        "secrets",
        "credentials",
        "token",
        "access_token",
        "accessToken",
        "refresh-token",
        "token_hash",
        "access_tokens",
        "api_key",
        "apiKey",
        "API_KEY",
        "x-api-key",
        "private_key",
        "privateKeyPem",
        "signing_key",
        "key_material",
        "key_hash",
        "authorization",
        "Authorization",
        "cookie",
        "set_cookie",
        "otp",
        "pin",
        "jwt",
        "ssh_key",
        "provider_key",
        "apikey",
    ],
)
def test_secrets_by_name(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "key",
        "key_id",
        "api_key_id",
        "apiKeyId",
        "api_key_name",
        "max_tokens",
        "tokens",
        "tokens_per_minute",
        "token_count",
        "token_limit",
        "password_changed_at",
        "password_required",
        "secret_id",
        "secret_name",
        "keyboard",
        "tokenizer",
        "monkey",
        "primary_key",
        "sort_key",
        "limit",
        "status",
        "author",
        "shipping",
        "opinion",
    ],
)
def test_what_only_sounds_like_one(key: str) -> None:
    assert not is_secret(key)


fields = st.dictionaries(
    st.sampled_from(["a", "b", "password", "api_key"]), st.none() | st.booleans() | st.text(min_size=4)
)


@given(fields, fields)
def test_a_diff_lists_just_the_changed_and_shows_no_secret(old: dict[str, Any], new: dict[str, Any]) -> None:
    changes = diff(old, new)

    for key in {*old, *new}:
        assert (key in changes) == (old.get(key, ...) != new.get(key, ...))
    for key in ("password", "api_key"):
        for value in changes.get(key, {}).values():
            assert value in (None, True, False, "***")
