"""Calls to OpenSearch whose answers keep every digit.

opensearch-py reads answers into Python objects, and what is written back from those is not always what was stored. Here an
answer stays text: what we ask about is read from it, and the events in it are cut out as the very bytes that were stored
(OpenSearch keeps `_source` as it came).
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from audit.errors import StoreUnavailable
from store.opensearch_errors import unavailable

# Digits are left as text: nobody looks at the values, and an integer may be longer than Python reads.
_object = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
_NEEDS = "all index permissions on audit-* and trailkeeper-*, and cluster_monitor"
_SOURCE = '"_source":'
_sort = re.compile(r'[^{}]*?"sort":\[(-?\d+),"([^"]*)"\]').match


class Hit(NamedTuple):
    """One event that was found, and its place in the order of the trail."""

    body: bytes
    occurred_at: int
    id: str


class _Verbatim:
    """Gives an answer as the text it is, where opensearch-py would read it."""

    def loads(self, text: str, mimetype: str | None = None) -> str:
        return text


class Engine:
    """One cluster, through the client that `store.connect` makes. Safe for many threads."""

    def __init__(self, client: OpenSearch) -> None:
        # The same connections with another reader of answers; the client itself stays as its owner has it.
        transport: Any = copy.copy(client.transport)
        transport.deserializer = _Verbatim()
        self._transport = transport
        self.address = ", ".join(f"{host['host']}:{host.get('port', 9200)}" for host in client.transport.hosts)

    def text(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        ignore: tuple[int, ...] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Call and return the answer as text; HTTP statuses in `ignore` are answers, not errors.

        Raises StoreUnavailable for everything else that isn't 2xx.
        """
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        try:
            answer: str = self._transport.perform_request(
                method,
                path,
                params=dict(params or {}),
                body=content,
                ignore=ignore,
                headers=headers,
            )
        except OpenSearchException as error:
            raise unavailable(error, self.address, needs=_NEEDS) from error
        return answer

    def json(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call and return the answer read."""
        return orjson.loads(self.text(method, path, body, **options) or "null")

    def not_ready(self, why: str) -> StoreUnavailable:
        """Say that it answers, and still can't be used."""
        return StoreUnavailable(f"OpenSearch at {self.address} can't be used: {why}.", retry_after=1)


def path_of(*names: str) -> str:
    """Put names into a path."""
    return "/" + "/".join(quote(name, safe=",*-_") for name in names)


def hits(answer: str) -> Iterator[Hit]:
    """Cut the events out of the answer to a search that was sorted by time and id.

    Everything before `_source` in a hit is ours (index, id, score), so the first one found is its own; the reader tells
    where the object ends.
    """
    for body, end in _sources(answer):
        place = _sort(answer, end)
        if place is None:
            raise StoreUnavailable("OpenSearch gave a hit without its place in the order.")
        yield Hit(body, int(place[1]), place[2])


def sources(answer: str) -> Iterator[bytes]:
    """Cut the events out of an answer, in order."""
    for body, _ in _sources(answer):
        yield body


def _sources(answer: str) -> Iterator[tuple[bytes, int]]:
    end = 0
    while (start := answer.find(_SOURCE, end)) >= 0:
        start += len(_SOURCE)
        _, end = _object(answer, start)
        yield answer[start:end].encode("utf-8", "surrogatepass"), end
