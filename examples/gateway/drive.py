"""Drive the gateway over HTTP as its people would: `python -m examples.gateway.drive --url http://127.0.0.1:8400`.

A story that can be found again (`story.py`) among ordinary work (`routine.py`), the same every time for the same seed. With
`--days` the requests say that they happened over the past days, which a gateway started with `--demo` believes.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import httpx

from examples.gateway.app import ORGANIZATION
from examples.gateway.people import Office
from examples.gateway.routine import Routine
from examples.gateway.story import story

EVENTS = 220
# One scene of the story, then five of the routine's steps.
PACE = 6
MOST_DAYS = 89  # the trail's retention is 90 by default, and takes nothing that is older


def calendar(random: Random, days: int, events: int, until: datetime) -> list[datetime]:
    """Spread events over the working hours (UTC) of the past days, the oldest first. No days: no calendar."""
    start = until - timedelta(days=days)
    dates = [start.date() + timedelta(days=day) for day in range(days + 1)]
    weights = [1.0 if date.weekday() < 5 else 0.15 for date in dates]
    instants: list[datetime] = []
    while days and len(instants) < events:
        date = random.choices(dates, weights)[0]
        hour = timedelta(hours=random.triangular(7.5, 19, 11))
        instant = datetime.combine(date, datetime.min.time(), UTC) + hour
        if start < instant < until:
            instants.append(instant)
    return sorted(instants)


def drive(office: Office, routine: Routine, events: int = EVENTS) -> None:
    """Tell the whole story, and let so much else happen in between that there are at least `events` events."""
    scenes: Iterator[None] | None = story(office)
    step = 0
    while scenes is not None or office.emitted.total() < events:
        if scenes is not None and step % PACE == 0:
            scenes = scenes if next(scenes, True) is None else None
        else:
            routine.step()
        step += 1


def open_office(url: str, *, days: int = 0, events: int = EVENTS, seed: int = 7) -> tuple[Office, Routine]:
    """Make everything that `drive` needs for the gateway at this address."""
    instants = calendar(Random(seed), days, events, datetime.now(UTC) - timedelta(minutes=2))  # noqa: S311 a story
    office = Office(f"{url}/organizations/{ORGANIZATION}", calendar=iter(instants))
    return office, Routine(office, Random(seed))  # noqa: S311 a story


def flushed(url: str, timeout: float = 60) -> bool:
    """Wait until the gateway's events have reached the trail; tell whether they have."""
    answer = httpx.post(f"{url}/demo/flush", params={"timeout": timeout}, timeout=timeout + 10, trust_env=False)
    return bool(answer.raise_for_status().json())


def main() -> None:
    """Drive a gateway that is running."""
    parser = argparse.ArgumentParser(prog="python -m examples.gateway.drive", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8400", help="where the gateway is")
    parser.add_argument("--events", type=int, default=EVENTS, help="at least how many events")
    parser.add_argument("--days", type=int, default=0, choices=range(MOST_DAYS + 1), metavar="N", help="over how many")
    parser.add_argument("--seed", type=int, default=7, help="another one: another order of things")
    arguments = parser.parse_args()
    office, routine = open_office(arguments.url, days=arguments.days, events=arguments.events, seed=arguments.seed)
    drive(office, routine, arguments.events)
    for (action, outcome), count in sorted(office.emitted.items()):
        print(f"{count:5}  {action:28} {outcome}")


if __name__ == "__main__":
    main()
