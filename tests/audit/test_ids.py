"""Ids: UUIDv7, each larger than the last; and those that stand for records with a name elsewhere."""

import re
import threading
import time
from uuid import UUID

from audit.event import UUID7_PATTERN
from audit.ids import derived_id, new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    id = new_id()

    assert re.fullmatch(UUID7_PATTERN, id)
    assert (UUID(id).version, UUID(id).variant) == (7, "specified in RFC 4122")


def test_its_time_is_now() -> None:
    before = time.time_ns() // 1_000_000

    made = UUID(new_id()).int >> 80

    assert before <= made <= time.time_ns() // 1_000_000 + 1000  # the counter may borrow from milliseconds to come


def test_each_is_larger_than_the_last() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))


def test_over_threads_each_threads_grow_and_none_is_made_twice() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def work(ids: list[str]) -> None:
        ids.extend(new_id() for _ in range(2_000))

    threads = [threading.Thread(target=work, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(ids == sorted(ids) for ids in made)
    assert len({id for ids in made for id in ids}) == 8_000


def test_a_derived_id_is_the_same_for_ever() -> None:
    assert derived_id(1_600_000_000_000, "cloudtrail", "123", "abc") == "0174876e-8000-7b18-a664-616df6776ad2"


def test_a_derived_id_is_a_uuid_of_version_7_with_the_records_time() -> None:
    id = derived_id(1_600_000_000_000, "cloudtrail", "123", "abc")

    assert re.fullmatch(UUID7_PATTERN, id)
    assert UUID(id).int >> 80 == 1_600_000_000_000


def test_other_names_make_other_ids() -> None:
    ids = {derived_id(0, *names) for names in (("a", "b"), ("ab",), ("a", "b", ""), ("", "a", "b"), ("b", "a"))}

    assert len(ids) == 5


def test_a_time_before_the_epoch_or_a_surrogate_makes_an_id_too() -> None:
    assert re.fullmatch(UUID7_PATTERN, derived_id(-1, "\ud800"))
