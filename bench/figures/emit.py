"""emit: what one call costs the application, journal on disk ÷ the same structlog chain into a deque.

Ours: `audit.info(…)` of the SDK with its default delivery, which returns when the event's line is in the journal's
file. The peer: the same call through the same chain, its delivery a deque. Bound organization and actor, details and
context in the call; one thread, the shipper idle (no address). Wall time of each call; p50 ÷ p50. emit_p99 is our own
p99 ÷ our p50.
"""

import tempfile
import time
from collections import deque
from statistics import median, quantiles

import trailkeeper
from bench.measure import Aim, Options, Result, Sample, interleave

AIM = Aim(1.2, 1.5, lower_is_better=True)
P99 = Aim(2.0, 2.0, lower_is_better=True)
_ACTOR = {"type": "user", "id": "usr_76b770b7", "name": "Lena Kowalski", "email": "lena.kowalski@example.com"}
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


class _IntoDeque(trailkeeper.Delivery):
    def __init__(self) -> None:
        self.lines: deque[object] = deque(maxlen=10_000)

    def deliver(self, event: object, line: object) -> None:
        self.lines.append(line)


def measure(options: Options) -> list[Result]:
    """Measure in this process."""
    calls = options.events(8_000)
    tails: list[tuple[float, float]] = []
    peers: list[float] = []

    def ours(_: int) -> Sample:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            trailkeeper.configure(source="bench", journal=folder)
            times = _calls(calls)
            trailkeeper.close(timeout=0)
        tails.append((median(times), quantiles(times, n=100)[98]))
        return Sample(median(times))

    def peer(_: int) -> Sample:
        trailkeeper.configure(source="bench", delivery=_IntoDeque())
        times = _calls(calls)
        trailkeeper.close(timeout=0)
        peers.append(quantiles(times, n=100)[98] / median(times))
        return Sample(median(times))

    result = interleave(options, "emit", ours, peer, unit="µs at p50", aim=AIM, notes=(f"{calls:,} calls a round",))
    ratios = [p99 / p50 for p50, p99 in tails]
    p99 = Result(
        "emit_p99",
        "µs, p99 and p50 of ours",
        P99,
        median(p99 for _, p99 in tails),
        median(p50 for p50, _ in tails),
        median(ratios),
        options.rounds,
        notes=(f"the peer's, which touches no disk: p99 {median(peers):.1f} times its p50",),
    )
    return [result, p99]


def _calls(count: int) -> list[float]:
    audit = trailkeeper.get_logger().bind(organization_id="org_06739bc2", actor=_ACTOR)
    times: list[float] = []
    clock = time.perf_counter_ns
    for number in range(count + 200):
        began = clock()
        audit.info(
            "api_key.update_limit",
            resource_id="key_578d10",
            resource_name="Production",
            details={"changes": {"limit_usd": {"old": number, "new": number + 1}}, "reason": "Budget review"},
            ip="203.0.113.7",
            user_agent=_AGENT,
            request_id=f"req_{number:012x}",
            trace_id=f"{number:032x}",
        )
        times.append((clock() - began) / 1000)
    return times[200:]
