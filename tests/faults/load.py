"""Senders over real HTTP that keep the book: every id that was sent, and what was said about it.

A patient sender does as the SDK does: the same batch, the same ids, until it is acknowledged. An impatient one gives up at
the first failure, which leaves ids nobody was told about: they may be on the trail, or not.
"""

import asyncio
import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

import orjson

from audit.ids import new_id
from audit.instants import format_instant
from audit.wire import Limits, parse_event
from store.names import day_index

DAYS = (0, 1, 3)
"""How many days ago events of a load occurred."""

AGAIN = frozenset({429, 500, 502, 503, 504, 507})
"""Statuses after which a sender sends the same batch again (the SDK's rule)."""


class Organization(NamedTuple):
    """A tenant of the run, and the retention class its events must be found in."""

    id: str
    retention: str


class Sent(NamedTuple):
    """Where an event has to be, and what it is: the digest of its normal form."""

    index: str
    digest: bytes


class Batch(NamedTuple):
    """One request's events."""

    ids: Sequence[str]
    lines: Sequence[bytes]


class Book:
    """What was sent and what was said. Written by senders on one thread, read by anybody."""

    def __init__(self) -> None:
        self.sent: dict[str, Sent] = {}
        self.acknowledged: set[str] = set()
        self.rejected: dict[str, dict[str, object]] = {}
        self.statuses: Counter[int] = Counter()
        """Answers by status; 0 stands for no whole answer."""

    @classmethod
    def together(cls, books: Sequence["Book"]) -> "Book":
        """One book of several senders'."""
        all_of_them = cls()
        for book in books:
            all_of_them.sent |= book.sent
            all_of_them.acknowledged |= book.acknowledged
            all_of_them.rejected |= book.rejected
            all_of_them.statuses += book.statuses
        return all_of_them

    @property
    def failures(self) -> int:
        """How many requests were not acknowledged."""
        return self.statuses.total() - self.statuses[202]

    def batch(
        self,
        organizations: Sequence[Organization],
        size: int,
        dice: random.Random,
        *,
        days: Sequence[int] = DAYS,
        padding: int = 200,
        source: str = "load",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Batch:
        """Write `size` new events into the book; `days` are how many days ago they occurred."""
        lines: list[bytes] = []
        ids: list[str] = []
        for _ in range(size):
            organization = dice.choice(organizations)
            occurred_at = now() - timedelta(days=dice.choice(days), seconds=dice.uniform(0, 60))
            id = new_id()
            event = {
                "id": id,
                "occurred_at": format_instant(occurred_at),
                "organization_id": organization.id,
                "actor": {"type": "user", "id": f"u_{dice.randrange(50)}", "name": "Ada Łovelace"},
                "action": "api_key.update_limit",
                "resource": {"type": "api_key", "id": f"key_{dice.randrange(1000)}"},
                "details": {"changes": {"limit": {"old": 10, "new": 1.50}}, "padding": "x" * dice.randrange(padding)},
                "source": source,
            }
            normal = parse_event(orjson.dumps(event), Limits())[1]
            ids.append(id)
            lines.append(normal)
            self.sent[id] = Sent(day_index(organization.retention, occurred_at.date()), digest(normal))
        return Batch(ids, lines)

    def note(self, body: bytes) -> None:
        """Read an answer (202) into the book."""
        for result in orjson.loads(body)["results"]:
            if result["status"] in ("accepted", "duplicate"):
                self.acknowledged.add(result["id"])
            else:
                self.rejected[result["id"]] = result["problem"]


def digest(normal: bytes) -> bytes:
    """What the book keeps of an event's bytes."""
    return hashlib.blake2b(normal, digest_size=16).digest()


class Client:
    """One keep-alive connection, as small as HTTP/1.1 allows: what it costs is not ingest's."""

    def __init__(self, port: int, key: str, *, timeout: float = 30.0) -> None:
        self._port, self._key, self._timeout = port, key, timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, lines: Sequence[bytes], query: str = "") -> tuple[int, bytes]:
        """Send a batch; return status and body. Raises OSError or TimeoutError where there is no whole answer."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(b"\n".join(lines), query)
        except BaseException:
            await self.close()
            raise

    async def _post(self, body: bytes, query: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            f"POST /v1/events{query} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {self._key}\r\n"
            f"content-type: application/x-ndjson\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        try:
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
            content = await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the answer was cut short") from error
        if "connection: close" in answer:
            await self.close()
        return int(answer.split(" ", 2)[1]), content

    async def close(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class Load:
    """Senders on a thread of their own. `with Load(...) as load:` starts them; `finish` lets them end in order.

    `port` is asked for at every try, so that an instance may move. `pace` is the pause of a sender after an answer.
    """

    def __init__(
        self,
        port: Callable[[], int] | int,
        key: str,
        organizations: Sequence[Organization],
        *,
        senders: int = 4,
        impatient: int = 1,
        batch: int = 50,
        pace: float = 0.02,
        seed: int = 1,
        timeout: float = 30.0,
        days: Sequence[int] = DAYS,
        book: Book | None = None,
    ) -> None:
        self.book = book or Book()
        self._port = port if callable(port) else lambda: port
        self._key, self._organizations = key, organizations
        self._senders, self._impatient = senders, impatient
        self._batch, self._pace, self._timeout, self._days = batch, pace, timeout, days
        self._dice = random.Random(seed)
        self._enough = threading.Event()
        self._give_up = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def finish(self, within: float = 60.0) -> Book:
        """Begin no new batch; let the patient ones get their acknowledgement; return the book."""
        self._enough.set()
        self._thread.join(within)
        waited_out = self._thread.is_alive()
        self._end()
        assert not waited_out, f"a patient sender got no acknowledgement within {within} s"
        return self.book

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._enough.set()
        self._give_up.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:
            self._error = error

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._senders):
                tasks.create_task(self._send(number < self._impatient, random.Random(self._dice.random())))

    async def _send(self, impatient: bool, dice: random.Random) -> None:
        client, port = None, 0
        while not self._enough.is_set():
            batch = self.book.batch(self._organizations, dice.randint(1, 2 * self._batch - 1), dice, days=self._days)
            while not self._give_up.is_set():
                if client is None or port != self._port():
                    port = self._port()
                    client = Client(port, self._key, timeout=self._timeout)
                if await self._try(client, batch):
                    break
                await asyncio.sleep(0.05)
                if impatient:
                    break
            await asyncio.sleep(self._pace)
        if client is not None:
            await client.close()

    async def _try(self, client: Client, batch: Batch) -> bool:
        try:
            status, body = await client.post(batch.lines)
        except (OSError, TimeoutError):
            self.book.statuses[0] += 1
            return False
        self.book.statuses[status] += 1
        if status == 202:
            self.book.note(body)
            return True
        assert status in AGAIN, f"{status}: {body.decode(errors='replace')[:500]}"
        return False


def post(port: int, key: str, lines: Sequence[bytes], query: str = "", timeout: float = 60.0) -> tuple[int, bytes]:
    """Send one batch from a test's own thread."""

    async def once() -> tuple[int, bytes]:
        client = Client(port, key, timeout=timeout)
        try:
            return await client.post(lines, query)
        finally:
            await client.close()

    return asyncio.run(once())
