"""ack_batch: durable acknowledgements ÷ a server that parses and throws away; 200 events a request, 8 connections.

Ours: `trailkeeper serve --only ingest`, its engine out of reach for all of the run, so that accepting, validating, committing
(WAL, fsync) and answering for each event are measured, and nothing else competes for the processor. The peer: a bare ASGI
application under the same uvicorn settings that splits the same body, parses each line with orjson and forgets it.
"""

import tempfile
from pathlib import Path

from bench.events import batches, events
from bench.load import Outcome, Worker, requests, run_requests
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import Cpu, Server, application, free_port, ingest, token_in

AIM = Aim(0.4, 0.25)


def batch_requests(seed: int, count: int, token: str) -> list[bytes]:
    """What the client sends."""
    return requests(batches(events(seed, count), 200), path="/v1/events", token=token)


def send_to(server: Server, worker: Worker, count: int, connections: int, **names: int) -> Sample:
    """Send what was prepared; events answered a second."""
    cpu = Cpu(**names)
    outcome: Outcome = worker.run(run_requests, server.port, connections)
    if set(outcome.statuses) != {202}:
        raise RuntimeError(f"the server answered {outcome.statuses}")
    return Sample(count / outcome.seconds, cpu.since(client=outcome.cpu))


def measure(options: Options) -> list[Result]:
    """Measure with processes of our own."""
    count = options.events(60_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Worker() as worker:
        token = token_in(Path(name))
        nowhere = f"opensearch://127.0.0.1:{free_port()}"
        with (
            ingest(nowhere, Path(name), spool_bytes=str(1 << 34)) as server,
            application("parse") as parser,
        ):

            def ours(number: int) -> Sample:
                worker.prepare(batch_requests, 300 + number, count, token)
                return send_to(server, worker, count, 8, ingest=server.pid)

            def peer(number: int) -> Sample:
                worker.prepare(batch_requests, 300 + number, count, token)
                return send_to(parser, worker, count, 8, parser=parser.pid)

            ours(9300)
            return [
                interleave(
                    options,
                    "ack_batch",
                    ours,
                    peer,
                    unit="events/s",
                    aim=AIM,
                    notes=(f"{count:,} events a round",),
                )
            ]
