"""No query string and no path yields a 500, another organization's event, or an engine's words."""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_templates.loader import prepare
from search_api.parameters import LISTING
from store.sqlite import SqliteStore
from tests.search_api.trail import NOW, Trail

NAMES = [parameter.name for parameter in LISTING]
# What engines give a meaning to: SQL, Lucene, Painless, wildcards, JSON, control characters, bidi, a lone surrogate's bytes.
SPICES = [
    "'", '"', "' OR 1=1 --", "%", "_", "*", "?", "a*", "/.*/", "(", "\\", "{}", "[]", "null", "\0", "\x1b", "\u202e",
    "ﬀ", "é", "é", "9" * 400, "-1", "1e9", "ctx._source", "organization_id:org_2", "now-1d", "2026-02-30T00:00:00Z",
    "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-11-23T10:00:00+99:99", "api_key.create", "u_1",
]  # fmt: skip
NEIGHBOURS = ["OWN_2", "OWN_2/", "OWN/../OWN_2", "OWN/", "OWN ", "OWN*", "OWN,OWN_2", "own"]
values = st.one_of(st.sampled_from(SPICES), st.text(max_size=40), st.datetimes().map(lambda t: t.isoformat() + "Z"))
pairs = st.lists(st.tuples(st.sampled_from([*NAMES, "q"]) | st.text(max_size=10), values), max_size=5)
raw = st.binary(max_size=60).map(lambda content: quote(content, safe="&=%+;?/"))
queries = pairs.map(lambda found: urlencode(found, errors="surrogatepass")) | raw


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path_factory.mktemp("fuzz") / "trail.sqlite")
    yield store
    store.close()


@pytest.fixture(scope="module", params=["sqlite", "opensearch"])
def world(request: pytest.FixtureRequest, runner: asyncio.Runner) -> tuple[Trail, httpx.Client]:
    """A trail, and beside it another organization's, in each engine."""
    if request.param == "sqlite":
        trail = Trail(request.getfixturevalue("on_sqlite"), runner)
    else:
        store, retention_class = request.getfixturevalue("on_opensearch")
        prepare(store.client)
        trail = Trail(store, runner, retention_class=retention_class)
    trail.add(*[{"source": "mine"}] * 3)
    trail.add(*[{"source": "theirs"}] * 3, organization_id=f"{trail.organization_id}_2")
    return trail, trail.client()


def hold(world: tuple[Trail, httpx.Client], response: httpx.Response) -> None:
    assert response.status_code in {200, 400, 404, 422}, response.text
    assert "theirs" not in response.text
    assert not any(word in response.text.lower() for word in ("sqlite", "opensearch", "traceback", "exception"))
    if response.status_code == 200:
        assert response.json() is not None
    else:
        problem = response.json()
        assert {"type", "title", "status", "detail", "fix"} <= set(problem)


@given(query=queries)
@settings(max_examples=300, deadline=None)
def test_any_query_string(world: tuple[Trail, httpx.Client], query: str):
    trail, client = world
    for path in ("", "/filters", "/019ab1f0-5c00-7000-8000-000000000001"):
        hold(world, client.get(httpx.URL(f"http://trail.test{trail.path}{path}", query=query.encode("latin-1"))))


@given(name=st.sampled_from(NAMES), value=values)
@settings(max_examples=300, deadline=None)
def test_any_value_of_a_known_parameter(world: tuple[Trail, httpx.Client], name: str, value: str):
    trail, client = world
    query = urlencode({name: value}, errors="surrogatepass").encode()
    response = client.get(httpx.URL(f"http://trail.test{trail.path}", query=query))

    hold(world, response)
    if response.status_code == 422:
        assert response.json().get("field", name) == name


@given(name=st.text(min_size=1, max_size=30) | st.sampled_from(SPICES))
@settings(max_examples=200, deadline=None)
def test_any_id(world: tuple[Trail, httpx.Client], name: str):
    trail, client = world
    hold(world, client.get(f"{trail.path}/{quote(name, safe='', errors='surrogatepass')}"))


@given(
    organization_id=st.text(max_size=30)
    | st.sampled_from([*SPICES, "org_2", "org_2/", "../org_2", "{}_2", "{}_2/", "{}/../{}_2", "{} ", "{}*"])
)
@settings(max_examples=200, deadline=None)
def test_any_organization_but_ones_own(world: tuple[Trail, httpx.Client], organization_id: str):
    trail, client = world
    organization_id = organization_id.replace("OWN", trail.organization_id)
    name = quote(organization_id, safe="", errors="surrogatepass")
    response = client.get(f"/v1/organizations/{name}/audit-logs")

    assert response.status_code == 404
    hold(world, response)


@given(head=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_authorization(world: tuple[Trail, httpx.Client], head: str):
    trail, client = world
    for value in (head, f"Bearer {head}", f"Bearer tk_{head}", f"Bearer e30.{head}.x"):
        response = client.get(trail.path, headers={"Authorization": value})

        assert response.status_code == 401, response.text


def test_the_trail_was_there_all_along(world: tuple[Trail, httpx.Client]):
    trail, client = world

    assert len(client.get(trail.path).json()["items"]) == 3
    assert trail.clock.now == NOW
