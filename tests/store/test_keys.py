"""Keys are on the trail before they work, and before they stop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.access import KeyScope
from audit.errors import Unauthenticated, Unavailable
from store.keys import Key, Keys
from store.sqlite import SqliteStore


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    store = SqliteStore(tmp_path / "trail.sqlite")
    yield Keys(store.records)
    store.close()


def unrecordable(key: Key) -> None:
    raise Unavailable("The trail can't record it.")


def test_a_key_that_the_trail_can_not_record_is_not_made(keys: Keys):
    with pytest.raises(Unavailable):
        keys.create(KeyScope.INGEST, "acme", "", first=unrecordable)

    assert keys.all() == []


def test_a_revocation_that_the_trail_can_not_record_leaves_the_key_as_it_was(keys: Keys):
    key, token = keys.create(KeyScope.INGEST, "acme", "")

    with pytest.raises(Unavailable):
        keys.revoke(key.id, first=unrecordable)

    assert keys.verify(token, KeyScope.INGEST) == key


def test_a_revoked_key_is_recorded_once(keys: Keys):
    key, token = keys.create(KeyScope.INGEST, "acme", "")
    recorded: list[Key] = []

    keys.revoke(key.id, first=recorded.append)
    keys.revoke(key.id, first=recorded.append)

    assert recorded == [key]
    with pytest.raises(Unauthenticated):
        keys.verify(token, KeyScope.INGEST)
