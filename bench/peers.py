"""Servers to compare with, under the uvicorn settings of `trailkeeper serve`: `python -m bench.peers NAME PORT`."""

import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI

import ingest.app
from audit.access import KeyScope
from audit.catalog import load_catalog
from audit.settings import load_settings
from cli.slow_clients import protocol_with_patience
from ingest.pipeline import Accepted, Pipeline, Taken
from store.keys import Keys
from store.protocol import Candidate
from store.remembered import RememberedRecords
from store.retentions import Retentions
from store.sqlite import SqliteStore

_ANSWER = b'{"results":[],"accepted":0,"duplicate":0,"rejected":0}'
_START = {
    "type": "http.response.start",
    "status": 202,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())],
}
_BODY = {"type": "http.response.body", "body": _ANSWER}


async def noop(scope: Any, receive: Any, send: Any) -> None:
    """Take a request's body and answer: the least that an ASGI application can do."""
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)


async def parse(scope: Any, receive: Any, send: Any) -> None:
    """Read each line's JSON with the fastest parser there is for Python, and throw it away: no key, no checks, no disk."""
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


class _ThrowingAway(Pipeline):
    """Our own pipeline without its commit: what was accepted is forgotten, and answered for all the same."""

    async def _commit_and_wait(self, candidates: Sequence[Candidate], ack: str | None) -> Sequence[Taken]:
        return [Accepted(candidate.id) for candidate in candidates]


def throw_away(folder: Path) -> FastAPI:
    """Give ingest as it is, up to the commit; its key is written to a file beside its (empty) store."""
    store = SqliteStore(folder / "store.sqlite")
    records = RememberedRecords(store.records)
    keys, retentions = Keys(records), Retentions(records, "90d")
    settings = load_settings()
    pipeline = _ThrowingAway(settings=settings, catalog=load_catalog(), retentions=retentions, store=store, log=store)
    (folder / "token").write_text(keys.create(KeyScope.INGEST, None, "bench")[1])
    app = FastAPI(redirect_slashes=False)
    ingest.app.add_routes(app, pipeline, keys, settings)
    return app


def main() -> None:
    """Serve until told to stop."""
    name, port = sys.argv[1:3]
    listener = socket.create_server(("127.0.0.1", int(port)))
    applications: Mapping[str, Any] = {"noop": noop, "parse": parse}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        app = (
            throw_away(Path(sys.argv[3] if len(sys.argv) > 3 else folder))
            if name == "throw_away"
            else applications[name]
        )
        config = uvicorn.Config(
            app,
            http=protocol_with_patience(load_settings().request_timeout_seconds),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
