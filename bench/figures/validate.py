"""validate: everything ingest does to judge a line ÷ orjson.loads of the same line.

Ours is `ingest.validate.Reception.check`: the event's grammar and limits, its normal form, the catalog, the writer's
organization, retention and clock, and the candidate for the log. The peer is the fastest JSON parser there is for
Python, and only parses. CPU time of this thread; one process, batches of 500 as they come in requests. Lines as the
SDK writes them.
"""

import time
from datetime import timedelta

import orjson

from audit.access import Writer
from audit.catalog import load_catalog
from audit.instants import utc_now
from audit.retention import Retention
from audit.wire import Limits
from bench.events import events
from bench.measure import Aim, Options, Result, Sample, interleave
from ingest.validate import Validator

AIM = Aim(4, 6, lower_is_better=True)


class _NinetyDays:
    def of(self, organization_id: str) -> Retention:
        return Retention(90)


def measure(options: Options) -> list[Result]:
    """Measure in this process."""
    lines = events(1, options.events(40_000))
    parts = [lines[start : start + 500] for start in range(0, len(lines), 500)]
    validator = Validator(load_catalog(), _NinetyDays(), Limits(), timedelta(minutes=5), utc_now)  # type: ignore[arg-type]

    def ours(_: int) -> Sample:
        began = time.thread_time()
        for part in parts:
            check = validator.reception(Writer("bench", None)).check
            for line in part:
                check(line)
        return Sample((time.thread_time() - began) / len(lines) * 1e6)

    def peer(_: int) -> Sample:
        began = time.thread_time()
        for part in parts:
            for line in part:
                orjson.loads(line)
        return Sample((time.thread_time() - began) / len(lines) * 1e6)

    size = sum(map(len, lines)) / len(lines)
    return [
        interleave(
            options,
            "validate",
            ours,
            peer,
            unit="µs an event (CPU)",
            aim=AIM,
            notes=(f"{len(lines):,} events of {size:.0f} bytes",),
        )
    ]
