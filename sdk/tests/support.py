"""What the SDK's tests share: an ingest over real HTTP whose answers a test chooses, and ways to look and to wait."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Ingest:
    """Stands for ingest: keeps what it commits by id, and answers as `behave` says."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.duplicates = 0
        self.requests: list[dict[str, Any]] = []
        # A function of (lines) that gives (status, headers, body), or None to commit.
        self.behave: Callable[[list[bytes]], tuple[int, dict[str, str], bytes] | None] = lambda lines: None
        # A function of one event that gives the problem to reject it with, or None.
        self.reject: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda event: None
        self.hold: threading.Event | None = None
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = owner.answer(self.path, dict(self.headers), body)
                if status == 0:  # cut the connection instead of answering
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that was killed, or gave up waiting

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        lines = body.splitlines()
        self.requests.append({"path": path, "headers": headers, "lines": len(lines)})
        if (chosen := self.behave(lines)) is not None:
            return chosen
        results = []
        with self._lock:
            for line in lines:
                event = json.loads(line)
                if problem := self.reject(event):
                    results.append({"id": event["id"], "status": "rejected", "problem": problem})
                elif event["id"] in self.events:
                    self.duplicates += 1
                    results.append({"id": event["id"], "status": "duplicate"})
                else:
                    self.events[event["id"]] = event
                    results.append({"id": event["id"], "status": "accepted"})
        counts = {
            status: sum(result["status"] == status for result in results)
            for status in ("accepted", "duplicate", "rejected")
        }
        if self.hold is not None:
            self.hold.wait(20)
        return 202, {}, json.dumps({"results": results, **counts}).encode()

    def close(self) -> None:
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def problem(status: int, **headers: str) -> tuple[int, dict[str, str], bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    names.setdefault("Content-Type", "application/problem+json")
    return status, names, json.dumps({"title": "No", "status": status, "detail": "Not now."}).encode()


def until(condition: Callable[[], Any], within: float = 10.0) -> None:
    """Wait for a condition; fail where it does not come true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        threading.Event().wait(0.005)


def journaled(folder: Path) -> list[dict[str, Any]]:
    """Read every whole line of a journal's segments."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("segment-*.ndjson"))
        for line in path.read_bytes().split(b"\n")[:-1]
    ]


def rejected(folder: Path) -> list[dict[str, Any]]:
    path = folder / "rejected.ndjson"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
