"""What ingest tells Prometheus. Nothing in it is about one organization or one sender.

One registry a pipeline, so that several in one process (tests, commands) don't count together.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingest.spool import Spool

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters and gauges of one pipeline."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "trailkeeper_ingest_events",
            "Events by what became of them: accepted, duplicate, rejected.",
            ["result"],
            registry=self.registry,
        )
        self.rejected = Counter(
            "trailkeeper_ingest_rejected", "Rejected events by reason.", ["reason"], registry=self.registry
        )
        self.commit_seconds = Histogram(
            "trailkeeper_commit_seconds",
            "How long one group commit took, fsync included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.commit_events = Histogram(
            "trailkeeper_commit_events",
            "How many events one group commit took.",
            buckets=(1, 10, 100, 500, 1000, 5000, 20_000),
            registry=self.registry,
        )
        self.relay_seconds = Histogram(
            "trailkeeper_relay_seconds",
            "How long one request to the store took.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.relayed = Counter(
            "trailkeeper_relay_events",
            "Events sent to the store by what it said: created, duplicate, conflict, refused, retry.",
            ["outcome"],
            registry=self.registry,
        )

    def watch(self, spool: Spool) -> None:
        """Show what waits in a spool, read when asked."""
        for name, text, read in (
            ("depth_events", "Events that wait for the store.", lambda: float(spool.depth)),
            ("bytes", "Bytes of events that wait for the store.", lambda: float(spool.bytes)),
            ("oldest_seconds", "How long the oldest of them has been waiting.", spool.oldest_age),
            ("dead_letters", "Events that the store refused for good.", lambda: float(spool.dead_count())),
        ):
            Gauge(f"trailkeeper_spool_{name}", text, registry=self.registry).set_function(read)
