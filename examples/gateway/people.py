"""Who works at Northwind Robotics, and how each of them reaches the gateway."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.1 Safari/605.1.15"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"

# By user name: what each request says of them. The addresses are those set aside for documentation (RFC 5737, RFC 3849).
PEOPLE = {
    "ada": {"X-Demo-User": "ada", "X-Forwarded-For": "203.0.113.10", "User-Agent": SAFARI},
    "bruno": {"X-Demo-User": "bruno", "X-Forwarded-For": "203.0.113.24", "User-Agent": FIREFOX},
    "chidi": {"X-Demo-User": "chidi", "X-Forwarded-For": "198.51.100.7", "User-Agent": CHROME},
    "dana": {"X-Demo-User": "dana", "X-Forwarded-For": "2001:db8:4a::17", "User-Agent": FIREFOX},
    "elif": {"X-Demo-User": "elif", "X-Forwarded-For": "198.51.100.31", "User-Agent": SAFARI},
    "ci": {"Authorization": "Bearer gw_demo_ci", "X-Forwarded-For": "192.0.2.80", "User-Agent": "deploy-pipeline/4.2"},
}


class SurpriseError(Exception):
    """The gateway answered something that the story does not have."""


@dataclass
class Office:
    """The way to an organization of the gateway: its URL, the calendar, and a count of what each request must have emitted.

    `calendar` gives each request its time; without it, or after its end, things happen now.
    """

    url: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))
    calendar: Iterator[datetime] = field(default_factory=lambda: iter(()))
    emitted: Counter[tuple[str, str]] = field(default_factory=Counter)

    def person(self, name: str) -> "Person":
        """Find somebody by user name."""
        return Person(self, PEOPLE[name])


@dataclass(frozen=True)
class Person:
    """Somebody at a browser, or a program with a key."""

    office: Office
    headers: dict[str, str]

    def does(
        self, action: str, method: str, path: str, json: dict[str, Any] | None = None, *, expect: int | None = None
    ) -> Any:
        """Send one request that performs an action; return the answer's JSON.

        `expect` is the status of an attempt that is meant to fail. Every request emits exactly one event.
        """
        now = next(self.office.calendar, None)
        headers = self.headers | ({} if now is None else {"X-Demo-Now": now.isoformat(timespec="milliseconds")})
        answer = self.office.client.request(method, self.office.url + path, json=json, headers=headers)
        if answer.status_code != expect if expect else not answer.is_success:
            raise SurpriseError(f"{action}: {method} {path} answered {answer.status_code}: {answer.text}")
        outcome = "success" if answer.is_success else "denied" if answer.status_code == 403 else "failure"
        self.office.emitted[action, outcome] += 1
        return answer.json() if answer.content else None
