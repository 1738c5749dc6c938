"""Stands between ingest and the node on loopback, and does to chosen requests what networks and clusters do.

    with Proxy(node) as proxy:
        proxy.fault = bulk(status(503), every=3)

A fault is a function of a request that either deals with it, or returns False and lets it through.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import orjson

from tests.nodes import Node

JSON = "application/json; charset=UTF-8"


class Exchange:
    """One request on its way, with what can be done to it."""

    def __init__(self, proxy: "Proxy", handler: "_Handler", method: str, path: str, body: bytes) -> None:
        self.proxy, self.method, self.path, self.body = proxy, method, path, body
        self._handler = handler

    @property
    def is_bulk(self) -> bool:
        return self.path.startswith("/_bulk")

    def ask(self, body: bytes | None = None) -> tuple[int, str, bytes]:
        """Have the node do it; return its status, content type and answer."""
        connection = http.client.HTTPConnection(*self.proxy.behind, timeout=60)
        try:
            headers = {
                name: value
                for name, value in self._handler.headers.items()
                if name.lower() not in ("connection", "content-length", "host")
            }
            connection.request(self.method, self.path, body=self.body if body is None else body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("content-type", JSON), answer.read()
        finally:
            connection.close()

    def answer(self, status: int, kind: str, content: bytes) -> None:
        self._handler.send_response(status)
        self._handler.send_header("content-type", kind)
        self._handler.send_header("content-length", str(len(content)))
        self._handler.end_headers()
        if self.method != "HEAD":
            self._handler.wfile.write(content)

    def answer_half(self, status: int, kind: str, content: bytes) -> None:
        """Announce the whole answer, send half of it, and be gone."""
        self._handler.send_response(status)
        self._handler.send_header("content-type", kind)
        self._handler.send_header("content-length", str(len(content)))
        self._handler.end_headers()
        self._handler.wfile.write(content[: len(content) // 2])
        self.cut()

    def cut(self) -> None:
        """Reset the connection."""
        self._handler.close_connection = True
        with suppress(OSError):
            self._handler.wfile.flush()
            linger = struct.pack("ii", 1, 0)
            self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._handler.connection.shutdown(socket.SHUT_RDWR)

    def wait_until_given_up(self) -> None:
        """Keep the client waiting until it closes the connection (or the proxy ends)."""
        self._handler.close_connection = True
        connection = self._handler.connection
        connection.settimeout(0.05)
        while not self.proxy.closing.is_set():
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


Fault = Callable[[Exchange], bool]


def bulk(fault: Fault, *, every: int = 1, times: int | None = None) -> Fault:
    """Do it to every Nth `_bulk`, at most so many times; everything else goes through."""
    lock = threading.Lock()
    seen = done = 0

    def sometimes(exchange: Exchange) -> bool:
        nonlocal seen, done
        if not exchange.is_bulk:
            return False
        with lock:
            seen += 1
            if seen % every or (times is not None and done >= times):
                return False
            done += 1
        return fault(exchange)

    return sometimes


def status(code: int) -> Fault:
    """Answer in the engine's form, without asking it: 429 when it is full, 503 when it has no manager."""
    kind = {429: "rejected_execution_exception", 503: "cluster_manager_not_discovered_exception"}.get(code, "exception")

    def answer(exchange: Exchange) -> bool:
        content = {"error": {"type": kind, "reason": "injected"}, "status": code}
        exchange.answer(code, JSON, orjson.dumps(content))
        return True

    return answer


def not_json(exchange: Exchange) -> bool:
    """Answer as a load balancer's error page does, with 200."""
    exchange.answer(200, "text/html", b"<html>Please log in</html>")
    return True


def partial(codes: Sequence[int] = (429, 503), every: int = 3) -> Fault:
    """Keep every Nth item from the engine and say of it that it failed; the others are done."""

    def answer(exchange: Exchange) -> bool:
        rows = exchange.body.split(b"\n")
        pairs = [rows[place : place + 2] for place in range(0, len(rows) - 1, 2)]
        kept = [place for place in range(len(pairs)) if place % every]
        items: list[object] = []
        if kept:
            code, kind, content = exchange.ask(b"".join(b"%b\n%b\n" % tuple(pairs[place]) for place in kept))
            if code != 200:
                exchange.answer(code, kind, content)
                return True
            items = orjson.loads(content)["items"]
        done = iter(items)
        merged = [
            next(done) if place % every else {"create": _failed(codes[place // every % len(codes)])}
            for place in range(len(pairs))
        ]
        exchange.answer(200, JSON, orjson.dumps({"errors": True, "items": merged}))
        return True

    return answer


def _failed(code: int) -> dict[str, object]:
    kind = "rejected_execution_exception" if code == 429 else "unavailable_shards_exception"
    return {"status": code, "error": {"type": kind, "reason": "injected"}}


def hang(exchange: Exchange) -> bool:
    """Take the request, do nothing, say nothing."""
    exchange.wait_until_given_up()
    return True


def cut_before(exchange: Exchange) -> bool:
    """Close the connection, and the engine never heard of it."""
    exchange.cut()
    return True


def cut_within(exchange: Exchange) -> bool:
    """The engine does it; half of its answer comes through."""
    exchange.answer_half(*exchange.ask())
    return True


def too_late(exchange: Exchange) -> bool:
    """The engine does it; its answer comes when the client has given up."""
    exchange.ask()
    exchange.wait_until_given_up()
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: "Proxy"

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        exchange = Exchange(self.proxy, self, self.command, self.path, body)
        fault = self.proxy.fault
        try:
            if fault is not None and fault(exchange):
                self.proxy.done += 1
                return
            exchange.answer(*exchange.ask())
        except OSError:  # the node is away, or the client
            exchange.cut()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _do  # noqa: N815 http.server's names

    def log_message(self, *_: object) -> None:
        pass


class Proxy:
    """A proxy on a free port, on threads of its own."""

    def __init__(self, node: Node) -> None:
        address = urlsplit(node.url)
        assert address.hostname is not None
        assert address.port is not None
        self.behind = (address.hostname, address.port)
        self.fault: Fault | None = None
        self.done = 0
        """How many requests a fault has dealt with."""
        self.closing = threading.Event()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # a client that gave up

        self._server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.url = f"opensearch://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
