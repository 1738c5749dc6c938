"""`trailkeeper serve`: the services, all in one process or one of them."""

import logging
import socket
import sys
from typing import Annotated, Literal

import structlog
import typer
import uvicorn
from fastapi import FastAPI

from audit.errors import ConfigurationError
from audit.settings import Settings, load_settings
from cli.compose import Trail
from cli.output import err

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
    configure_logging(settings)
    parts: frozenset[Part] = frozenset({only}) if only else frozenset({"ingest", "search", "lifecycle"})
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
        _run(app, listener)


def configure_logging(settings: Settings) -> None:
    """Send everything that is logged, ours and the libraries', to standard error in one form."""
    level = logging.getLevelName(settings.log_level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, final]
        if settings.log_format == "json"
        else [*shared, final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=final, foreign_pre_chain=shared))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything else starts, so that a taken port is the first thing said."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{settings.host}:{settings.port} can't be listened on: {error.strerror}.",
            field="TRAILKEEPER_PORT",
            fix="Choose another with --port; 0 takes a free one.",
        ) from None
    return listener


def _run(app: FastAPI, listener: socket.socket) -> None:
    # The body of a slow client is bounded in bytes by the endpoint, in time by the keep-alive and by whatever is in front.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=10, lifespan="on"
    )
    uvicorn.Server(config).run(sockets=[listener])
