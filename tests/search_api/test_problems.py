"""Whatever goes wrong leaves as a problem document, with nothing of the inside in it."""

import re
from typing import Any

import pytest
from structlog.testing import capture_logs

from audit.errors import DiskFull, StoreUnavailable
from tests.search_api.trail import Trail

INSIDE = "/var/lib/secret.sqlite: disk I/O error"


def failing(trail: Trail, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    for name in ("search", "facets", "get", "check"):
        monkeypatch.setattr(trail.store, name, fail)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("GET", "/v1", 404), ("POST", "", 405)])
def test_unknown_paths_and_methods(embedded: Trail, method: str, path: str, status: int):
    response = embedded.client().request(method, path or embedded.path, headers={"X-Request-Id": "req-1"})

    assert (response.status_code, response.json()["status"]) == (status, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == "req-1"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_wrong_method_is_told_the_right_one(embedded: Trail):
    assert embedded.client().delete(embedded.path).headers["allow"] == "GET"


def test_a_trailing_slash_is_another_path(embedded: Trail):
    assert embedded.client().get(f"{embedded.path}/").status_code == 404


@pytest.mark.parametrize(
    ("error", "status"), [(StoreUnavailable(INSIDE, fix=INSIDE, retry_after=1), 503), (DiskFull(INSIDE), 507)]
)
@pytest.mark.parametrize("path", ["", "/filters", "/019ab1f0-5c00-7000-8000-000000000001"])
def test_an_engines_words_are_for_the_log(
    embedded: Trail, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, path: str
):
    client = embedded.client()
    failing(embedded, error, monkeypatch)

    with capture_logs() as logs:
        response = client.get(embedded.path + path)

    assert response.status_code == status
    assert "secret" not in response.text
    assert INSIDE in logs[0]["error"]
    assert embedded.recorded == [], "nothing was shown, so nothing was read"


@pytest.mark.parametrize("path", ["", "/filters", "/019ab1f0-5c00-7000-8000-000000000001"])
def test_a_surprise_is_500_with_the_id_under_which_it_is_logged(
    embedded: Trail, monkeypatch: pytest.MonkeyPatch, path: str
):
    client = embedded.client()
    failing(embedded, RuntimeError(INSIDE), monkeypatch)

    with capture_logs() as logs:
        response = client.get(embedded.path + path)

    assert response.status_code == 500
    assert re.fullmatch("urn:uuid:[0-9a-f-]{36}", response.json()["instance"])
    assert [response.json()["instance"]] == [entry["instance"] for entry in logs]
    assert INSIDE in logs[0]["traceback"]
    assert "secret" not in response.text
    assert response.headers["cache-control"] == "no-store"
