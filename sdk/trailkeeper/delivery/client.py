"""Speaking with ingest: one POST of NDJSON, and its answer as one of four things to do.

Connections are kept and shared between threads, each used by one at a time. Nothing here retries, but for the one case
where a kept connection turns out closed before the answer began; sending twice is safe, for ingest knows the ids.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

from trailkeeper.errors import ConfigurationError

_USER_AGENT = "trailkeeper-sdk"
_MOST_IDLE = 8
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Committed:
    """Ingest has every event but those `rejected`: (position in the batch, problem)."""

    rejected: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refused:
    """Ingest did not take the batch for what is in it (400, 413, 422): half of it may do, one event never will."""

    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Not now: connection errors, timeouts, 429, 5xx. `retry_after` in seconds where ingest said so."""

    reason: str
    retry_after: float | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Not like this: the key (401, 403) or the address (3xx, other 4xx) is wrong, and a person has to mend it."""

    reason: str


_NOT_INGEST = Unavailable("HTTP 202 with an answer that is not ingest's: is TRAILKEEPER_URL another service?")

Answer = Committed | Refused | Unavailable | Misconfigured


class IngestClient:
    """Posts batches to one ingest. Safe for threads; after a fork the child opens connections of its own."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"TRAILKEEPER_URL is {url!r}: it is ingest's base address, like https://ingest.example.com."
            )
        self._tls, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._path = f"{parts.path.rstrip('/')}/v1/events"
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": _USER_AGENT}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._idle: deque[tuple[int, HTTPConnection]] = deque()

    def post(self, body: bytes, timeout: float) -> Answer:
        """Send whole lines and wait up to `timeout` seconds (the look-up of the host's name is not within it)."""
        from http.client import HTTPException

        deadline = time.monotonic() + timeout
        try:
            status, headers, answer = self._exchange(body, deadline)
        except TimeoutError:
            return Unavailable(f"no answer within {timeout:g} s", timed_out=True)
        except (OSError, HTTPException) as error:
            return Unavailable(f"{type(error).__name__}: {error}")
        if status == 202:
            return _read_results(answer, body.count(b"\n"))
        return _understand(status, headers, answer)

    def _exchange(self, body: bytes, deadline: float) -> tuple[int, Any, bytes]:
        kept = self._take()
        if kept is not None:
            try:
                return self._speak(kept, body, deadline)
            except TimeoutError:
                raise
            except OSError:  # closed by ingest while it was idle: RemoteDisconnected, BrokenPipeError, …
                pass
        return self._speak(self._connect(), body, deadline)

    def _speak(self, connection: HTTPConnection, body: bytes, deadline: float) -> tuple[int, Any, bytes]:
        try:
            connection.timeout = _left(deadline)
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(_left(deadline))
            connection.request("POST", self._path, body, self._headers)
            if connection.sock is not None:
                connection.sock.settimeout(_left(deadline))
            response: HTTPResponse = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append((os.getpid(), connection))
        return response.status, response.headers, answer

    def _take(self) -> HTTPConnection | None:
        while self._idle:
            try:
                pid, connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if pid == os.getpid():
                return connection
            connection.close()  # the parent's: closes this process's copy of the socket alone
        return None

    def _connect(self) -> HTTPConnection:
        from http import client

        if self._tls:
            return client.HTTPSConnection(self._host, self._port)
        return client.HTTPConnection(self._host, self._port)

    def close(self) -> None:
        """Close the kept connections."""
        while (connection := self._take()) is not None:
            connection.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _understand(status: int, headers: Any, answer: bytes) -> Answer:
    problem = _read_problem(status, answer)
    reason = f"HTTP {status}: {problem.get('detail') or problem.get('title')}"
    if status in _LATER or status >= 500:
        return Unavailable(reason, _read_retry_after(headers.get("Retry-After")))
    # Any other word than ingest's own is about the way there (a proxy, a wrong port), never about an event.
    if status == 413 or (status in (400, 422) and "problem+json" in (headers.get("Content-Type") or "")):
        return Refused(problem)
    return Misconfigured(reason)


def _read_results(answer: bytes, sent: int) -> Committed | Unavailable:
    """Believe an answer only where it accounts for every event that was sent."""
    try:
        content = json.loads(answer)
        if content["accepted"] + content["duplicate"] + content["rejected"] != sent:
            return _NOT_INGEST
        if content["rejected"] == 0:
            return Committed()
        results = enumerate(content["results"])
        return Committed([(n, dict(item["problem"])) for n, item in results if item["status"] == "rejected"])
    except (ValueError, KeyError, TypeError):
        return _NOT_INGEST


def _read_problem(status: int, answer: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(answer)
        if isinstance(problem, dict):
            return {"status": status, **problem}
    except ValueError:
        pass
    return {"status": status, "title": answer[:200].decode(errors="replace").strip() or "no explanation"}


def _read_retry_after(value: str | None) -> float | None:
    """Read seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
