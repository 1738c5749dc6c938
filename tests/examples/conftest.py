"""The sample gateway on a free port, and what it emits."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import trailkeeper
from audit.catalog import load_catalog
from audit.event import Event
from audit.wire import Limits, parse_event
from examples.gateway.app import ORGANIZATION
from examples.gateway.people import Office
from tests.examples.serving import served


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """What the SDK emits during the test."""
    with trailkeeper.capture_audit() as captured:
        yield captured


@pytest.fixture
def gateway(events: list[dict[str, Any]]) -> Iterator[str]:
    """The address of a fresh gateway whose events are captured."""
    with served() as url:
        yield url


@pytest.fixture
def office(gateway: str) -> Iterator[Office]:
    """The people's way to that gateway."""
    office = Office(f"{gateway}/organizations/{ORGANIZATION}")
    yield office
    office.client.close()


@pytest.fixture(scope="session")
def taken() -> Callable[[dict[str, Any]], Event]:
    """Read an event as ingest would, against the strict catalog; raises what ingest would answer."""
    catalog = load_catalog(mode="strict")

    def take(event: dict[str, Any]) -> Event:
        parsed, _ = parse_event(json.dumps(event).encode(), Limits(), {})
        catalog.check(parsed.action, parsed.details)
        return parsed

    return take
