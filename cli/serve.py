"""`trailkeeper serve`: the services, all in one process or one of them."""

import gc
import signal
import socket
import sys
from typing import Annotated, Literal

import typer
import uvicorn
from fastapi import FastAPI

from audit.errors import ConfigurationError
from audit.settings import Settings, load_settings
from cli.compose import Trail
from cli.logs import configure_logging
from cli.output import err
from cli.slow_clients import protocol_with_patience

Part = Literal["ingest", "search", "lifecycle"]


def add_to(app: typer.Typer) -> None:
    """Add this subcommand."""
    app.command()(serve)


def serve(
    only: Annotated[Part | None, typer.Option(help="Run one service instead of all three.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on [TRAILKEEPER_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one [TRAILKEEPER_PORT].")] = None,
) -> None:
    """Run ingest, search and lifecycle in one process; with --only, one of them."""
    overrides = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load_settings(**overrides)
    configure_logging(settings.log_level, settings.log_format)
    parts: frozenset[Part] = frozenset({only}) if only else frozenset({"ingest", "search", "lifecycle"})
    # uvicorn closes the application at SIGTERM and then sends us the signal again, which by default ends the process there
    # and then, with the spool neither drained nor closed. An exception leaves through Trail.open.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = _listen(settings)
    address = "http://{}:{}".format(*listener.getsockname()[:2])
    with Trail.open(settings, ingest=bool(parts & {"ingest", "search"}), spool=settings.spool_path) as trail:
        if "lifecycle" in parts:
            trail.lifecycle.start()
        app = trail.application(ingest="ingest" in parts, search="search" in parts, lifecycle="lifecycle" in parts)
        err.print(f"Trailkeeper {', '.join(sorted(parts))} at {address}, on {trail.engine.place}.", markup=False)
        if "search" in parts and not (settings.jwt_secret or settings.jwt_jwks_url or settings.jwt_jwks_file):
            err.print(
                "No token can be checked yet: set TRAILKEEPER_JWT_JWKS_URL, or TRAILKEEPER_JWT_SECRET for development.",
                markup=False,
            )
        _spare_the_collector()
        _run(app, listener, settings)


def _spare_the_collector() -> None:
    """Keep Python's cycle collector from walking all that is loaded, again and again, because of events that pass by.

    What stands now stays for good and is left out of every collection; what events are made of holds no cycles and goes by
    counting. The rare cycle is collected a little later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything else starts, so that a taken port is the first thing said."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)  # from the line that says where on, who connects is answered
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{settings.host}:{settings.port} can't be listened on: {error.strerror}.",
            field="TRAILKEEPER_PORT",
            fix="Choose another with --port; 0 takes a free one.",
        ) from None
    return listener


def _run(app: FastAPI, listener: socket.socket, settings: Settings) -> None:
    config = uvicorn.Config(
        app,
        http=protocol_with_patience(settings.request_timeout_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    uvicorn.Server(config).run(sockets=[listener])
