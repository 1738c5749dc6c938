"""Ids of events: UUIDv7 (RFC 9562, section 5.7), ascending within a process, distinct after a fork.

The 12 bits after the millisecond hold its fraction (section 6.2, method 3), so ids of one process sort in the order they
were made, also where the clock steps back: the stamp then goes on counting from the last one. The other 62 bits are
random; they keep processes apart, they are not a secret.
"""

from __future__ import annotations

import os
import random
import re
import threading
from typing import Any

from trailkeeper.errors import InvalidEventError

_well_formed = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch

# An instance of our own: a program that calls random.seed() for its tests must not make the same ids twice.
_random = random.Random()  # noqa: S311 - uniqueness is wanted, not secrecy
_bits = _random.getrandbits
# Reentrant, as a signal handler may emit while the same thread is in here.
_lock = threading.RLock()
_last = 0


def new_id(nanoseconds: int) -> str:
    """Make the id of an event that is emitted now; `nanoseconds` is time.time_ns()."""
    global _last
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = (milliseconds << 12) | ((rest << 12) // 1_000_000)
    with _lock:
        if stamp <= _last:
            stamp = _last + 1
        _last = stamp
        noise = _bits(62)
    text = f"{stamp >> 12:012x}7{stamp & 0xFFF:03x}{noise | 0x8000000000000000:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_id(value: Any) -> str:
    """Return an id that a caller passed, in lower case; raise InvalidEventError where it is no UUIDv7."""
    text = str(value).lower()
    if not _well_formed(text):
        raise InvalidEventError(
            "id",
            f"{text!r:.60} is not a UUIDv7.",
            "Leave it out, unless you make UUIDv7 yourself; the resource's id is resource_id.",
        )
    return text


def _start_afresh() -> None:
    """Give a forked child random bits and a lock of its own: the parent's would be a copy, the lock perhaps held."""
    global _lock
    _lock = threading.RLock()
    _random.seed()


os.register_at_fork(after_in_child=_start_afresh)
