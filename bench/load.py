"""The load: a lean HTTP/1.1 client in a process of its own, so that it takes nothing from the server's interpreter.

Requests are bytes that were made before the clock starts; connections are kept alive, one request in flight on each. An
answer is looked at for its status and its end, no more. What it can do at most is what figures/ack_single.py measures
against a server that does nothing.
"""

import asyncio
import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

import uvloop


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: seconds from the first byte sent to the last answer, answers by status, our own CPU seconds."""

    seconds: float
    statuses: dict[int, int]
    cpu: float


def requests(
    bodies: Sequence[bytes], *, path: str, token: str | None = None, content_type: str = "application/x-ndjson"
) -> list[bytes]:
    """Put bodies into requests."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{authorization}Content-Type: {content_type}\r\nContent-Length: "
    return [b"%b%d\r\n\r\n%b" % (head.encode(), len(body), body) for body in bodies]


class _Sender(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is whole."""

    def __init__(self, rest: Iterator[bytes], statuses: Counter[int], done: asyncio.Future[None]) -> None:
        self._rest = rest
        self._statuses = statuses
        self._done = done
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def start(self) -> None:
        """Send the first request."""
        self._next()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            # Both servers here write lower-case names; OpenSearch too.
            place = data.index(b"content-length: ") + 16
            length = int(data[place : data.index(b"\r\n", place)])
            if len(data) >= end + 4 + length:
                self._statuses[int(data[9:12])] += 1
                self._buffer = b""
                self._next()
                return
        self._buffer = data

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._rest, None)
        if request is not None:
            self._transport.write(request)
        elif not self._done.done():
            self._done.set_result(None)


async def _send(port: int, made: Sequence[bytes], connections: int) -> Outcome:
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    rest = iter(made)
    waits: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    pairs: list[tuple[Any, _Sender]] = []
    for done in waits:
        pairs.append(
            await loop.create_connection(lambda done=done: _Sender(rest, statuses, done), "127.0.0.1", port)  # type: ignore[misc]
        )
    before = cpu_of_this_process()
    began = time.perf_counter()
    for _, sender in pairs:
        sender.start()
    await asyncio.gather(*waits)
    seconds = time.perf_counter() - began
    for transport, _ in pairs:
        transport.close()
    return Outcome(seconds, dict(statuses), cpu_of_this_process() - before)


def send(port: int, made: Sequence[bytes], connections: int) -> Outcome:
    """Send all requests over so many connections; in this process."""
    return uvloop.run(_send(port, made, connections))


def cpu_of_this_process() -> float:
    """User and system time so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Worker:
    """A process that does what it is told in two steps: prepare, then run against the clock.

    `prepare` and `run` are functions of a module, for they are sent by name; `run` gets what `prepare` returned.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have it made ready, before the clock starts; returns when it is."""
        self._ours.send(("prepare", function, arguments))
        self._answer()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run it; returns its result."""
        self._ours.send(("run", function, arguments))
        return self._answer()

    def _answer(self) -> Any:
        good, value = self._ours.recv()
        if not good:
            raise RuntimeError(f"the load process failed: {value}")
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def _work(pipe: Connection) -> None:
    ready: Any = None
    while True:
        try:
            what, function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if what == "prepare":
                ready = function(*arguments)
                pipe.send((True, None))
            else:
                pipe.send((True, function(ready, *arguments)))
        except Exception as error:
            pipe.send((False, repr(error)))


def run_requests(made: Sequence[bytes], port: int, connections: int) -> Outcome:
    """Send what was prepared; the form in which a worker is told to."""
    return send(port, made, connections)
