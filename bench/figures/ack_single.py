"""ack_single: one event a request over 64 connections, durable ÷ a bare ASGI no-op under the same uvicorn settings.

Ours as in ack_batch: the engine is out of reach, so only accepting and committing is measured. The no-op takes the body and
answers the same 202. What it reaches is also the ceiling of the client: the note says how busy that was.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from bench.events import events
from bench.figures.ack_batch import send_to
from bench.load import Worker, requests
from bench.measure import Aim, Options, Result, Sample, interleave
from bench.processes import application, free_port, ingest, token_in

AIM = Aim(0.5, 0.3)
_CONNECTIONS = 64


def single_requests(seed: int, count: int, token: str) -> list[bytes]:
    """What the client sends."""
    return requests(events(seed, count), path="/v1/events", token=token, content_type="application/json")


def measure(options: Options) -> list[Result]:
    """Measure with processes of our own."""
    count = options.events(12_000)
    busy: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Worker() as worker:
        token = token_in(Path(name))
        nowhere = f"opensearch://127.0.0.1:{free_port()}"
        with (
            ingest(nowhere, Path(name), spool_bytes=str(1 << 34)) as server,
            application("noop") as noop,
        ):

            def ours(number: int) -> Sample:
                worker.prepare(single_requests, 400 + number, count, token)
                return send_to(server, worker, count, _CONNECTIONS, ingest=server.pid)

            def peer(number: int) -> Sample:
                worker.prepare(single_requests, 400 + number, count, token)
                sample = send_to(noop, worker, count, _CONNECTIONS, noop=noop.pid)
                busy.append(sample.cpu["client"] / (count / sample.value))
                return sample

            ours(9400)
            result = interleave(options, "ack_single", ours, peer, unit="requests/s", aim=AIM)
    told = f"{count:,} requests a round; against the no-op the client used {100 * max(busy):.0f} % of a core at most"
    return [replace(result, notes=(told, *result.notes))]
