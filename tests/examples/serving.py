"""The sample gateway as a real server, in a thread of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from examples.gateway.app import create_app


@contextmanager
def served(*, demo: bool = False) -> Iterator[str]:
    """Serve a fresh gateway; yield its address. The socket listens before the server runs, so nobody has to wait."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(demo=demo), log_level="warning", proxy_headers=False))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
