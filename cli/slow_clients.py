"""How long a client may take to send a request: headers and body, from its first byte or the connection's to the last.

uvicorn bounds how long a connection may idle between two requests, and nothing else: a client that sends a byte a minute
holds a connection, and what was read of its request, for good (slowloris). Here it gets 408 and is let go.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_ANSWER = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def protocol_with_patience(seconds: float) -> type[asyncio.Protocol]:
    """Make uvicorn's protocol with this patience, for its `http` setting."""
    return type("PatientProtocol", (_PatientProtocol,), {"patience": seconds})


class _PatientProtocol(HttpToolsProtocol):
    patience = 30.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrowing
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_message_complete(self) -> None:
        self._stop_waiting()
        super().on_message_complete()

    def _wait(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who don't read: the store is asked for its key, say
            self._wait()
            return
        cycle: Any = self.cycle
        if not self.transport.is_closing():
            if cycle is None or cycle.response_complete or not cycle.response_started:
                self.transport.write(_ANSWER)
            self.transport.close()
