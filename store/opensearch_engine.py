"""Calls to OpenSearch whose answers keep every digit, and its errors in our words.

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
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,
    ConnectionTimeout,
    OpenSearchException,
    SSLError,
    TransportError,
)

from audit.errors import StoreUnavailable

# Digits are left as text: nobody looks at the values, and an integer may be longer than Python reads.
_object = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode
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
            raise self.unavailable(error) from error
        return answer

    def json(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call and return the answer read."""
        return orjson.loads(self.text(method, path, body, **options) or "null")

    def unavailable(self, error: OpenSearchException) -> StoreUnavailable:
        """Say what went wrong, where, and what to do; never the password, which is in no address here."""
        where = f"OpenSearch at {self.address}"
        if isinstance(error, SSLError):
            return StoreUnavailable(
                f"The certificate of {where} does not hold ({error.error}).",
                fix="Set TRAILKEEPER_STORE_CA_FILE to the CA that signed it.",
            )
        if isinstance(error, ConnectionTimeout):
            return StoreUnavailable(
                f"{where} did not answer in time.", fix="Look at its load, or raise TRAILKEEPER_STORE_TIMEOUT_SECONDS."
            )
        if isinstance(error, ConnectionError):
            return StoreUnavailable(
                f"{where} can't be reached.", fix="Start it, or mend TRAILKEEPER_STORE_URL.", retry_after=1
            )
        if isinstance(error, AuthenticationException):
            return StoreUnavailable(
                f"{where} refuses our user or password.",
                fix="Mend TRAILKEEPER_STORE_URL or TRAILKEEPER_STORE_PASSWORD.",
            )
        if isinstance(error, AuthorizationException):
            return StoreUnavailable(
                f"{where} does not permit this: {words(error)}.",
                fix="Give the user all index permissions on audit-* and trailkeeper-*, and cluster_monitor.",
            )
        return StoreUnavailable(f"{where} answered with an error: {words(error)}.", retry_after=1)

    def not_ready(self, why: str) -> StoreUnavailable:
        """Say that it answers, and still can't be used."""
        return StoreUnavailable(f"OpenSearch at {self.address} can't be used: {why}.", retry_after=1)


def words(error: OpenSearchException) -> str:
    """The engine's own words for an error."""
    if not isinstance(error, TransportError):
        return str(error)
    info = error.info
    if isinstance(info, dict) and isinstance(info.get("error"), dict):
        return reason(info["error"])
    return f"{error.status_code} {error.error}"


def reason(error: Mapping[str, Any]) -> str:
    """Put an error object of the engine in one line, with its innermost cause."""
    line = f"{error.get('type')}: {error.get('reason')}"
    causes = error.get("failed_shards") or []
    cause = error.get("caused_by") or (causes[0].get("reason") if causes else None)
    return f"{line} ({reason(cause)})" if isinstance(cause, dict) else line


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
