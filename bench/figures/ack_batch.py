"""ack_batch: durable acknowledgements ÷ the same server that throws away instead; 200 events a request, 8 connections.

Ours: `trailkeeper serve --only ingest`, its engine out of reach for all of the run, so that accepting, validating,
committing (WAL, fsync) and answering for each event are measured, and nothing else competes for the processor. The
peer: the same endpoint, which reads, validates and answers as ours does, and forgets where ours commits: what is left
is the price of durability. The note has the ratio to a server that has nothing of ours, under the same uvicorn
settings: it splits the body, parses each line with orjson and forgets it, without key, validation, or an answer for
each event.
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

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
    bare: list[float] = []
    with ExitStack() as stack:
        folder, theirs = (stack.enter_context(TemporaryDirectory(prefix="bench-")) for _ in range(2))
        worker = stack.enter_context(Worker())
        token = token_in(Path(folder))
        nowhere = f"opensearch://127.0.0.1:{free_port()}"
        server = stack.enter_context(ingest(nowhere, Path(folder), spool_bytes=str(1 << 34)))
        thrower = stack.enter_context(application("throw_away", theirs))
        parser = stack.enter_context(application("parse"))
        their_token = (Path(theirs) / "token").read_text()

        def ours(number: int) -> Sample:
            worker.prepare(batch_requests, 300 + number, count, token)
            return send_to(server, worker, count, 8, ingest=server.pid)

        def peer(number: int) -> Sample:
            worker.prepare(batch_requests, 300 + number, count, their_token)
            bare.append(send_to(parser, worker, count, 8, parser=parser.pid).value)
            return send_to(thrower, worker, count, 8, thrower=thrower.pid)

        ours(9300)
        peer(9300)
        bare.clear()
        result = interleave(options, "ack_batch", ours, peer, unit="events/s", aim=AIM)
    assert result.ours is not None
    notes = (
        f"{count:,} events a round",
        f"{result.ours / median(bare):.3f} of a bare server that only parses with orjson ({median(bare):,.0f}/s)",
    )
    return [replace(result, notes=(*notes, *result.notes))]
