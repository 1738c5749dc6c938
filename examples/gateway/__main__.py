"""Run the gateway: `python -m examples.gateway`. TRAILKEEPER_URL and TRAILKEEPER_INGEST_KEY say where its trail is."""

import argparse
import socket

import uvicorn

import trailkeeper
from examples.gateway.app import create_app


def main() -> None:
    """Take a port, say which on standard output, and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m examples.gateway", description=__doc__)
    parser.add_argument("--port", type=int, default=8400, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--demo", action="store_true", help="let requests say when they happened (X-Demo-Now)")
    arguments = parser.parse_args()

    trailkeeper.configure(source="gateway")
    listener = socket.create_server(("127.0.0.1", arguments.port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(create_app(demo=arguments.demo), log_level="warning", proxy_headers=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
