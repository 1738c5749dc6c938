"""The OpenSearch node of a run: its day indices, raw `_bulk`, and when it has indexed what it was sent.

One node for all figures of a run (tests/nodes finds or starts it). Every round writes to indices of its own, made
beforehand by the same code and from the same template on both sides, and deleted afterwards.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from audit.access import KeyScope
from audit.settings import load_settings
from audit.wire import stamp, with_resource_type
from bench.events import events
from bench.load import requests
from cli.compose import Engine, open_engine
from index_templates import loader
from store.keys import Keys
from store.names import day_index
from tests.nodes import Node, start_node

OURS, THEIRS = "90d", "91d"
"""Retention classes: which index a side writes to. Nothing else differs."""


class Cluster:
    """A node, with what a round needs of it."""

    def __init__(self, node: Node, engine: Engine) -> None:
        self.node = node
        self.http = node.http()
        self._engine = engine
        self._days = 0
        assert engine.client is not None
        loader.prepare(engine.client, "0")
        engine.store.prepare()
        self.token = Keys(engine.store.records).create(KeyScope.INGEST, None, "bench")[1]

    @property
    def store_url(self) -> str:
        """What ingest is told."""
        return store_url(self.node)

    @property
    def pids(self) -> dict[str, int]:
        """The node's process, where it is one of ours."""
        pid = getattr(self.node, "pid", None)
        return {} if pid is None else {"opensearch": pid}

    @contextmanager
    def fresh_day(self, retention: str) -> Iterator[date]:
        """Give a day whose index stands, empty; it is deleted afterwards."""
        self._days += 1
        day = (datetime.now(UTC) - timedelta(days=1 + self._days % 80)).date()
        self.http.delete(f"/{day_index(retention, day)}")
        assert self._engine.opener is not None
        self._engine.opener.forget(retention, day)
        self._engine.opener.open(retention, day)
        yield day
        self.http.delete(f"/{day_index(retention, day)}").raise_for_status()

    def indexed(self, name: str) -> int:
        """How many documents the node has indexed into this index; no refresh is needed for it to tell."""
        path = f"/{name}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
        total: int = self.http.get(path).raise_for_status().json()["_all"]["primaries"]["indexing"]["index_total"]
        return total

    def wait_indexed(self, name: str, count: int, seconds: float = 300.0) -> float:
        """Wait until so many are indexed; give the moment (time.perf_counter)."""
        deadline = time.monotonic() + seconds
        while self.indexed(name) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} has {self.indexed(name):,} of {count:,} events after {seconds:.0f} s.")
            time.sleep(0.01)
        return time.perf_counter()

    def stored_bytes(self, name: str) -> int:
        """What an index takes on disk."""
        found: int = (
            self.http.get(f"/{name}/_stats/store")
            .raise_for_status()
            .json()["_all"]["primaries"]["store"]["size_in_bytes"]
        )
        return found


def store_url(node: Node) -> str:
    """TRAILKEEPER_STORE_URL of a node."""
    return "opensearch://" + node.url.partition("://")[2]


@contextmanager
def started(*, own: bool = False) -> Iterator[Cluster]:
    """Start a node, or reach the one that OPENSEARCH_URL names."""
    with start_node(own=own) as node:
        engine = open_engine(load_settings(store_url=store_url(node), index_replicas="0"))
        cluster = Cluster(node, engine)
        try:
            yield cluster
        finally:
            cluster.http.close()
            engine.store.close()


def stored(lines: Sequence[bytes]) -> list[bytes]:
    """The bytes that ingest stores for these events: typed and stamped."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    return [
        stamp(with_resource_type(line, "api_key"), now, "log-bench0000000", n, True) for n, line in enumerate(lines)
    ]


def bulk_requests(seed: int, count: int, day: date, size: int) -> list[bytes]:
    """Raw `_bulk` requests with `size` events each: what our own relay would send, made before the clock starts."""
    name = day_index(THEIRS, day).encode()
    bodies: list[bytes] = []
    documents = stored(events(seed, count, day))
    for start in range(0, count, size):
        bodies.append(
            b"".join(
                b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n' % (name, document[7:43], document)
                for document in documents[start : start + size]
            )
        )
    return requests(bodies, path="/_bulk?filter_path=errors")


def port_of(url: str) -> int:
    """The port in an address."""
    port = httpx.URL(url).port
    assert port is not None
    return port


def as_dicts(seed: int, count: int, day: date) -> list[dict[str, Any]]:
    """The same documents as opensearch-py's helpers take them."""
    import orjson

    name = day_index(THEIRS, day)
    return [
        {"_op_type": "create", "_index": name, "_id": body[7:43].decode(), "_source": orjson.loads(body)}
        for body in stored(events(seed, count, day))
    ]
