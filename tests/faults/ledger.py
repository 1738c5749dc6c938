"""The count: what senders were told against what the store holds.

Every acknowledged id is found exactly once, in the index of its day and class, byte for byte as it was sent; every other
id at most once; and the numbers of each log have no gap that isn't accounted for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import apsw
import orjson

from audit.wire import unstamp
from store.opensearch_engine import sources
from tests.faults.load import Book, digest
from tests.nodes import Node

_PAGE = 5_000


class Found(NamedTuple):
    """One stored event."""

    index: str
    id: str
    body: bytes


@dataclass
class Count:
    """What a run ends with."""

    acknowledged: int = 0
    found: int = 0
    """Acknowledged ids that are in the store."""
    unacknowledged: int = 0
    of_them_found: int = 0
    duplicates: int = 0
    lost: int = 0
    misplaced: int = 0
    """In another index than that of its day and class."""
    altered: int = 0
    """Stored with other bytes than were sent."""
    unknown: int = 0
    """In the store, and nobody sent it."""
    gaps: int = 0
    """Numbers of a log that no event has and nothing accounts for."""
    dead_letters: int = 0

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged:,}, found {self.found:,}, duplicates {self.duplicates}, lost {self.lost} "
            f"(unacknowledged {self.unacknowledged:,}, of them found {self.of_them_found:,}; misplaced {self.misplaced}, "
            f"altered {self.altered}, unknown {self.unknown}, gaps {self.gaps}, dead letters {self.dead_letters})"
        )

    @property
    def clean(self) -> bool:
        wrong = (self.duplicates, self.lost, self.misplaced, self.altered, self.unknown, self.gaps)
        return not any(wrong) and self.acknowledged > 0


def count(node: Node, book: Book, organizations: Sequence[str], spools: Sequence[Path]) -> Count:
    """Count a run. Its spools must have drained."""
    logs = [_Log.read(spool) for spool in spools]
    result = Count(acknowledged=len(book.acknowledged), unacknowledged=len(book.sent.keys() - book.acknowledged))
    dead = {id for log in logs for id in log.dead}
    result.dead_letters = len(dead)
    copies: Counter[str] = Counter()
    numbers: dict[str, Counter[int]] = {log.id: Counter() for log in logs}
    for found in stored(node, organizations, [log.id for log in logs]):
        copies[found.id] += 1
        event = orjson.loads(found.body)
        if event["log"]["id"] in numbers:
            numbers[event["log"]["id"]][event["log"]["index"]] += 1
        sent = book.sent.get(found.id)
        if event["id"] != found.id or (sent is None and event.get("source") != "trailkeeper"):
            result.unknown += 1
        elif sent is not None:
            result.misplaced += found.index != sent.index
            result.altered += digest(unstamp(found.body)) != sent.digest
    result.found = sum(id in copies for id in book.acknowledged)
    result.of_them_found = sum(id in copies for id in book.sent.keys() - book.acknowledged)
    result.duplicates = (
        sum(copies.values()) - len(copies) + sum(n - 1 for log in numbers.values() for n in log.values())
    )
    result.lost = sum(id not in copies and id not in dead for id in book.acknowledged)
    for log in logs:
        result.gaps += sum(
            not log.accounts_for(number, copies)
            for number in range(log.first, log.next)
            if number not in numbers[log.id]
        )
        result.gaps += sum(not log.first <= number < log.next for number in numbers[log.id])
    return result


def stored(node: Node, organizations: Sequence[str], logs: Sequence[str] = ()) -> Iterator[Found]:
    """Read every event of these organizations and logs, whatever index it is in."""
    wanted: list[dict[str, Any]] = [{"terms": {"organization_id": list(organizations)}}]
    if logs:
        wanted.append({"terms": {"log.id": list(logs)}})
    with node.http(timeout=120) as http:
        http.post("/audit-*/_refresh").raise_for_status()
        answer = http.post(
            "/audit-*/_search",
            params={"scroll": "2m", "allow_partial_search_results": "false"},
            json={"query": {"bool": {"should": wanted}}, "sort": ["_doc"], "size": _PAGE},
        )
        while True:
            answer.raise_for_status()
            content = orjson.loads(answer.content)
            hits = content["hits"]["hits"]
            if not hits:
                http.request("DELETE", "/_search/scroll", json={"scroll_id": content["_scroll_id"]})
                return
            for hit, body in zip(hits, sources(answer.text), strict=True):
                yield Found(hit["_index"], hit["_id"], body)
            answer = http.post("/_search/scroll", json={"scroll": "2m", "scroll_id": content["_scroll_id"]})


class _Log(NamedTuple):
    """What a spool's file says of its log."""

    id: str
    first: int
    next: int
    seen: dict[int, str]
    dead: frozenset[str]
    dead_numbers: frozenset[int]

    @classmethod
    def read(cls, spool: Path) -> "_Log":
        db = apsw.Connection(str(spool), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.set_busy_timeout(10_000)
            id, following = next(iter(db.execute("SELECT id, next FROM log")))
            seen = {number: str(UUID(bytes=key)) for number, key in db.execute("SELECT number, id FROM seen")}
            bodies = [orjson.loads(body) for (body,) in db.execute("SELECT body FROM dead")]
        finally:
            db.close()
        return cls(
            id,
            0,
            following,
            seen,
            frozenset(event["id"] for event in bodies),
            frozenset(event["log"]["index"] for event in bodies if event["log"]["id"] == id),
        )

    def accounts_for(self, number: int, stored: Counter[str]) -> bool:
        """Tell whether a number that no stored event has is a dead letter's, or that of an event sent once more.

        The store recognised the latter: what stands there has the number of its first commit.
        """
        return number in self.dead_numbers or stored[self.seen.get(number, "")] == 1
