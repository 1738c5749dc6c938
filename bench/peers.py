"""Servers to compare with, under the very uvicorn settings of `trailkeeper serve`: `python -m bench.peers NAME PORT`."""

import socket
import sys
from typing import Any

import orjson
import uvicorn

_ANSWER = b'{"results":[],"accepted":0,"duplicate":0,"rejected":0}'
_START = {
    "type": "http.response.start",
    "status": 202,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())],
}
_BODY = {"type": "http.response.body", "body": _ANSWER}


async def noop(scope: Any, receive: Any, send: Any) -> None:
    """Take a request's body and answer: the least that an ASGI application can do."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)


async def parse(scope: Any, receive: Any, send: Any) -> None:
    """Read each line's JSON with the fastest parser there is for Python, and throw it away: no checks, no disk."""
    if scope["type"] != "http":
        return
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message.get("more_body"):
            break
    for line in b"".join(parts).split(b"\n"):
        if line:
            orjson.loads(line)
    await send(_START)
    await send(_BODY)


def main() -> None:
    """Serve until told to stop."""
    name, port = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", int(port)))
    config = uvicorn.Config(
        {"noop": noop, "parse": parse}[name], log_config=None, access_log=False, server_header=False, lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
