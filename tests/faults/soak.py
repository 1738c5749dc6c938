"""All faults mixed at random under a seed, over three instances of ingest and a node, and the count at the end.

    python -m tests.faults.soak --minutes 10 --seed 1 [--json]        (make soak MINUTES=10 SEED=1)

The seed decides which fault comes when and where; what the machine makes of it in between is its own. Exit code 0 where
nothing was lost, doubled, misplaced or altered, and no log has a gap.
"""

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

import structlog

from tests.faults import proxy as faults
from tests.faults.crashing_ingest import POINTS
from tests.faults.ledger import count
from tests.faults.load import Book, Load
from tests.faults.proxy import Proxy
from tests.faults.service import Deployment, Ingest, pass_time, until
from tests.nodes import start_node

INSTANCES = 3
ENGINE_FAULTS: dict[str, Callable[[], faults.Fault]] = {
    "429": lambda: faults.bulk(faults.status(429), every=2),
    "503": lambda: faults.status(503),
    "a page of HTML": lambda: faults.bulk(faults.not_json, every=2),
    "partial failures": lambda: faults.bulk(faults.partial(), every=2),
    "no answer": lambda: faults.bulk(faults.hang, every=3),
    "cuts before": lambda: faults.bulk(faults.cut_before, every=2),
    "cuts amid the answer": lambda: faults.bulk(faults.cut_within, every=2),
    "answers too late": lambda: faults.bulk(faults.too_late, every=3),
}


class Soak:
    """A run: instances under load, and what is done to them."""

    def __init__(self, deployment: Deployment, proxy: Proxy, seed: int, say: Callable[[str], None]) -> None:
        self.deployment, self.proxy, self.say = deployment, proxy, say
        self.dice = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.instances = [
            deployment.crashing_ingest(store_url=proxy.url, TRAILKEEPER_STORE_TIMEOUT_SECONDS="2").start()
            for _ in range(INSTANCES)
        ]

    def act(self) -> None:
        """Do one thing, and undo it."""
        choices: list[tuple[int, Callable[[], str]]] = [
            (6, self.kill),
            (6, self.kill_at_a_point),
            (2, self.stop),
            (6, self.trouble_the_engine),
            (2, self.fill_the_disk),
            (1, self.fail_fsync),
            (1, self.kill_the_engine),
        ]
        chosen = self.dice.choices([act for _, act in choices], [weight for weight, _ in choices])[0]
        what = chosen()
        self.done[chosen.__name__.replace("_", " ")] += 1
        self.say(what)

    def one(self) -> Ingest:
        return self.dice.choice(self.instances)

    def kill(self) -> str:
        ingest = self.one()
        ingest.kill()
        pass_time(self.dice.uniform(0, 2))
        ingest.start()
        return "kill -9 of ingest"

    def kill_at_a_point(self) -> str:
        point = self.dice.choice(POINTS)
        self._crash(f"{point}:{self.dice.randint(1, 20)}")
        return f"ingest killed {point}"

    def fail_fsync(self) -> str:
        self._crash(f"fsync:{self.dice.randint(10, 100)}")
        return "a failed fsync"

    def _crash(self, fault: str) -> None:
        ingest = self.one()
        ingest.kill()
        ingest.start(wait=False, TRAILKEEPER_TEST_FAULTS=fault)
        ingest.wait_until_dead()
        ingest.start(TRAILKEEPER_TEST_FAULTS="")

    def stop(self) -> str:
        ingest = self.one()
        code = ingest.stop()
        assert code == 0, f"SIGTERM ended with {code}"
        ingest.start()
        return "SIGTERM and start"

    def trouble_the_engine(self) -> str:
        name = self.dice.choice(list(ENGINE_FAULTS))
        self.proxy.fault = ENGINE_FAULTS[name]()
        pass_time(self.dice.uniform(2, 15))
        self.proxy.fault = None
        return f"the engine: {name}"

    def fill_the_disk(self) -> str:
        ingest = self.one()
        hard = resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (64 << 10, hard))
        pass_time(self.dice.uniform(1, 8))
        resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert ingest.alive(), ingest.log_text()[-2000:]
        return "no room on the disk"

    def kill_the_engine(self) -> str:
        self.deployment.node.kill()
        away = self.dice.choice([5, 15, 60])
        pass_time(away)
        self.deployment.node.start()
        return f"kill -9 of OpenSearch, {away} s away"


def _grew(load: Load, before: int) -> bool:
    return len(load.book.acknowledged) > before


def main() -> int:
    """Run it; print the progress to standard error and the count to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="The faults, mixed.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    began = time.monotonic()

    def say(what: str) -> None:
        found = sum(len(load.book.acknowledged) for load in loads)
        print(f"{time.monotonic() - began:6.0f} s  {found:>9,} acknowledged  {what}", file=sys.stderr, flush=True)

    loads: list[Load] = []
    say("starting a node and three instances of ingest")
    with ExitStack() as stack:
        node = stack.enter_context(start_node(own=True))
        deployment = stack.enter_context(Deployment(node))
        proxy = stack.enter_context(Proxy(node))
        soak = Soak(deployment, proxy, given.seed, say)
        for place, ingest in enumerate(soak.instances):
            senders = Load(
                ingest.port,
                deployment.key,
                deployment.organizations,
                senders=3,
                batch=25,
                pace=0.3,
                seed=given.seed + place,
            )
            loads.append(stack.enter_context(senders))
        end = time.monotonic() + given.minutes * 60
        while time.monotonic() < end:
            served = [len(load.book.acknowledged) for load in loads]
            until(lambda: all(map(_grew, loads, served)), 120, "every instance takes events")  # noqa: B023 used at once
            soak.act()
        say("no more faults: the senders end, the spools drain")
        book = Book.together([load.finish(120) for load in loads])
        for ingest in soak.instances:
            ingest.drain(300)
        counted = count(
            node, book, [each.id for each in deployment.organizations], [each.spool for each in soak.instances]
        )
    say(", ".join(f"{what} {times}" for what, times in soak.done.most_common()))
    if given.json:
        print(json.dumps({"seed": given.seed, "minutes": given.minutes, "faults": soak.done, **asdict(counted)}))
    else:
        print(counted)
    return 0 if counted.clean else 1


if __name__ == "__main__":
    sys.exit(main())
