"""Ids: RFC 9562's form, ascending in a process, distinct between threads and after a fork."""

from __future__ import annotations

import os
import random
import threading
import time
import uuid

from trailkeeper.uuid7 import new_id


def test_an_id_has_version_variant_and_time() -> None:
    now = time.time_ns()
    made = uuid.UUID(new_id(now + 10**9))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == (now + 10**9) // 1_000_000


def test_ids_ascend_also_where_the_clock_steps_back() -> None:
    now = time.time_ns()
    ids = [new_id(now - step * 1000) for step in range(5000)]

    assert ids == sorted(set(ids))


def test_threads_never_make_the_same_id_twice() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(new_id(time.time_ns()) for _ in range(5000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({ident for ids in made for ident in ids}) == 20_000
    assert all(ids == sorted(ids) for ids in made)


def test_seeding_the_global_random_does_not_repeat_ids() -> None:
    state = random.getstate()
    try:
        tails = set()
        for _ in range(2):
            random.seed(1)
            tails.add(new_id(time.time_ns())[-12:])
    finally:
        random.setstate(state)

    assert len(tails) == 2


def test_a_forked_child_makes_other_ids() -> None:
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writer, new_id(0)[-17:].encode())
        os._exit(0)
    ours = new_id(0)[-17:]
    theirs = os.read(reader, 100).decode()
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)

    assert ours != theirs
