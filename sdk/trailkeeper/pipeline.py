"""Where an entry becomes an event and finds its delivery: the state that `configure()` sets, and nothing else global.

Loggers hold no settings. They look here with every call, so one that was made at import time follows a later
`configure()`, and `capture_audit()` catches what any of them emits.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailkeeper.delivery import Delivery
from trailkeeper.encode import encode
from trailkeeper.errors import ConfigurationError, InvalidEventError
from trailkeeper.event import to_event
from trailkeeper.settings import Settings, default_journal, read_settings

_log = logging.getLogger("trailkeeper")

# At exit an application waits no longer than this for ingest, and not at all once it has failed to answer.
_AT_EXIT = 2.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What an entry passes through."""

    delivery: Delivery
    source: str | None


_current: Pipeline | None = None
# Reentrant, as a signal handler may emit while the same thread is in here.
_changing = threading.RLock()


def emit(entry: Mapping[str, Any]) -> None:
    """Make an event of a structlog entry and deliver it. What it raises is the delivery's to decide."""
    pipeline = _current or _from_environment()
    try:
        event = to_event(entry, pipeline.source)
        line = encode(event)
    except InvalidEventError as error:
        pipeline.delivery.refuse(entry, error)
    except Exception as error:
        pipeline.delivery.refuse(
            entry,
            InvalidEventError("event", f"cannot be made: {type(error).__name__}: {error}.", "Look at its values."),
        )
    else:
        pipeline.delivery.deliver(event, line)


def configure(
    *,
    url: str | None = None,
    key: str | None = None,
    source: str | None = None,
    delivery: str | Delivery | None = None,
    timeout: float | None = None,
    journal: str | Path | None = None,
    journal_max_bytes: int | None = None,
    journal_segment_bytes: int | None = None,
    journal_fsync: bool | None = None,
    ship_interval: float | None = None,
) -> None:
    """Say where events go. Each setting falls back to its environment variable, then to its default (see the README).

    `delivery` is `"journal"`, `"wait"`, `"strict"`, or an object of your own that implements `Delivery`. Called again, it
    replaces what was, whose events stay in the journal. Raises ConfigurationError for a setting that cannot be used.
    """
    given = {
        "url": url,
        "key": key,
        "source": source,
        "delivery": delivery if isinstance(delivery, str) else None,
        "timeout": timeout,
        "journal": journal,
        "journal_max_bytes": journal_max_bytes,
        "journal_segment_bytes": journal_segment_bytes,
        "journal_fsync": journal_fsync,
        "ship_interval": ship_interval,
    }
    if delivery is None or isinstance(delivery, str):
        settings = read_settings(given)
        fresh = Pipeline(_make_delivery(settings), settings.source)
    else:
        given["delivery"] = "journal"
        fresh = Pipeline(delivery, read_settings(given).source)
    old = install(fresh)
    if old is not None:
        _close(old.delivery, 0.0)


def install(pipeline: Pipeline | None) -> Pipeline | None:
    """Put a pipeline in place and return the one before."""
    global _current
    with _changing:
        old, _current = _current, pipeline
    return old


def flush(timeout: float = 5.0) -> bool:
    """Wait up to `timeout` seconds until ingest has everything this process emitted; tell whether it has."""
    pipeline = _current
    return True if pipeline is None else pipeline.delivery.flush(timeout)


def close(timeout: float = 5.0) -> None:
    """Flush, then end the thread and close files and connections. The next event opens them again."""
    pipeline = _current
    if pipeline is not None:
        pipeline.delivery.close(timeout)


def _from_environment() -> Pipeline:
    """Configure with the environment alone, at the first event of an application that did not call configure()."""
    with _changing:
        if _current is not None:
            return _current
        try:
            settings = read_settings({})
            fresh = Pipeline(_make_delivery(settings), settings.source)
        except ConfigurationError as error:
            if os.environ.get("TRAILKEEPER_DELIVERY") == "strict":
                raise  # who asked for that would rather fail than let anything pass unrecorded
            settings = Settings(journal=default_journal(None))
            fresh = Pipeline(_make_delivery(settings), None)
            _log.error("trailkeeper: %s Until it is mended, events stay in %s.", error, settings.journal)
        else:
            if settings.url is None:
                _log.warning(
                    "trailkeeper: neither configure(url=…) nor TRAILKEEPER_URL says where ingest is: events stay in %s.",
                    settings.journal,
                )
        install(fresh)
        return fresh


def _make_delivery(settings: Settings) -> Delivery:
    # Imported here for what they import: http and ssl only where something is sent.
    from trailkeeper.delivery.journal import JournalDelivery
    from trailkeeper.delivery.strict import StrictDelivery
    from trailkeeper.delivery.wait import WaitDelivery

    match settings.delivery:
        case "strict":
            return StrictDelivery(settings)
        case "wait":
            return WaitDelivery(settings)
        case _:
            return JournalDelivery(settings)


def _close(delivery: Delivery, timeout: float) -> None:
    try:
        delivery.close(timeout)
    except Exception:
        _log.exception("trailkeeper: the delivery could not be closed")


def _at_exit() -> None:
    """Ship what is left, if ingest answers at once. What is not shipped is in the journal, for the next process."""
    from trailkeeper.delivery.journal import JournalDelivery
    from trailkeeper.delivery.wait import WaitDelivery

    pipeline = _current
    if pipeline is None:
        return
    delivery = pipeline.delivery
    if isinstance(delivery, JournalDelivery | WaitDelivery):
        delivery.close(_AT_EXIT, give_up=True)
    else:
        _close(delivery, _AT_EXIT)


def _after_fork_in_child() -> None:
    """Give the child a lock that no thread of its parent's holds."""
    global _changing
    _changing = threading.RLock()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork_in_child)
