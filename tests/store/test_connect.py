"""The store's URL: what each scheme opens, and a sentence for each that can't work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.errors import ConfigurationError, StoreUnavailable
from audit.settings import Settings
from store.connect import OpenSearchUrl, SqliteUrl, connect, open_store, parse_store_url
from store.opensearch import OpenSearchStore
from store.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("sqlite:///trail.sqlite", SqliteUrl(Path("trail.sqlite"))),
        ("sqlite:///data/a%20b.sqlite", SqliteUrl(Path("data/a b.sqlite"))),
        ("sqlite:////var/lib/trail.sqlite", SqliteUrl(Path("/var/lib/trail.sqlite"))),
        ("opensearch://host", OpenSearchUrl((("host", None),), tls=False, user=None, password=None)),
        ("opensearch://host:9201/", OpenSearchUrl((("host", 9201),), tls=False, user=None, password=None)),
        (
            "opensearch+https://me:p%40ss@one:1,two,[::1]:3",
            OpenSearchUrl((("one", 1), ("two", None), ("::1", 3)), tls=True, user="me", password="p@ss"),
        ),
        ("opensearch+https://me@one", OpenSearchUrl((("one", None),), tls=True, user="me", password=None)),
    ],
)
def test_a_url_says_where_the_store_is(url: str, parsed: object) -> None:
    assert parse_store_url(url) == parsed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "trail.sqlite",
        "sqlite://",
        "sqlite:///",
        "sqlite://trail.sqlite",
        "sqlite:///trail.sqlite?mode=ro",
        "postgres://me:hunter2@host/db",
        "http://me:hunter2@host:9200",
        "opensearch://",
        "opensearch://me:hunter2@",
        "opensearch://me:hunter2@host:port",
        "opensearch://me:hunter2@host:99999",
        "opensearch://host:9200/prefix",
        "opensearch://one:9200,,two:9200",
        "opensearch://host:9200?x=hunter2",
    ],
)
def test_a_url_that_cannot_work_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TRAILKEEPER_STORE_URL") as error:
        parse_store_url(url)
    assert error.value.field == "TRAILKEEPER_STORE_URL"
    assert error.value.fix
    assert "hunter2" not in str(error.value)


def test_each_scheme_opens_its_engine(tmp_path: Path) -> None:
    store = open_store(Settings(store_url=f"sqlite:///{tmp_path}/trail.sqlite", log_id="here"))
    assert isinstance(store, SqliteStore)
    assert (store.path, store.log_id) == (tmp_path / "trail.sqlite", "here")
    store.close()
    far = open_store(Settings(store_url="opensearch://localhost:1"), open_day=lambda client: _nothing)
    assert isinstance(far, OpenSearchStore)
    far.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.check(),
        lambda store: store.prepare(),
        lambda store: store.days(),
        lambda store: store.records.list("x"),
    ],
)
def test_a_cluster_that_is_away_is_named_and_its_password_is_not(call: Callable[[Any], object]) -> None:
    settings = Settings(store_url="opensearch://me:hunter2@127.0.0.1:1")
    store = open_store(settings, open_day=lambda client: _nothing)
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1 can't be reached\. Start it") as error:
        call(store)
    assert "hunter2" not in str(error.value)
    store.close()


def test_a_user_needs_a_password() -> None:
    with pytest.raises(ConfigurationError) as error:
        connect(Settings(store_url="opensearch+https://me@host"))
    assert error.value.field == "TRAILKEEPER_STORE_PASSWORD"


def test_a_ca_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        connect(Settings(store_url="opensearch+https://host", store_ca_file=tmp_path / "none.pem"))
    assert error.value.field == "TRAILKEEPER_STORE_CA_FILE"


def test_signing_for_aws_needs_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)  # what an import finds where it isn't installed
    with pytest.raises(ConfigurationError, match=r"boto3.*trailkeeper-server\[aws\]") as error:
        connect(Settings(store_url="opensearch+https://host", store_aws_region="eu-central-1"))
    assert error.value.field == "TRAILKEEPER_STORE_AWS_REGION"


def test_a_sqlite_url_is_no_cluster() -> None:
    with pytest.raises(ConfigurationError, match="names no OpenSearch cluster"):
        connect(Settings(store_url="sqlite:///x.sqlite"))


def _nothing(retention: str, day: object) -> None:
    """Open no day."""
