"""Clients that hold on to a connection, by the hundred; ten thousand tiny requests; one of the largest size."""

import asyncio
import random
import time
from pathlib import Path

from tests.faults.ledger import count
from tests.faults.load import Book, Client, Load, post
from tests.faults.service import Deployment, until

SLOW = 150
HEAD = b"POST /v1/events HTTP/1.1\r\nhost: x\r\n"


async def trickle(port: int, start: bytes, drip: bytes) -> tuple[float, bytes]:
    """Send `start`, then `drip` four times a second until the server has enough; return when, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(start)
    answer = asyncio.create_task(reader.read())
    try:
        while not answer.done():
            writer.write(drip)
            await asyncio.wait([answer], timeout=0.25)
        return time.monotonic() - began, answer.result()
    except OSError:
        return time.monotonic() - began, b""
    finally:
        writer.close()


def rss(pid: int) -> int:
    """The most memory it ever had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def test_three_hundred_slow_clients_are_let_go_and_hinder_nobody(deployment: Deployment) -> None:
    ingest = deployment.ingest(TRAILKEEPER_REQUEST_TIMEOUT_SECONDS="3").start()
    before = rss(ingest.pid)
    body = HEAD + f"authorization: Bearer {deployment.key}\r\ncontent-type: application/x-ndjson\r\n".encode()
    body += b"content-length: 5000000\r\n\r\n"

    async def all_at_once() -> list[tuple[float, bytes]]:
        headers = [trickle(ingest.port, HEAD, b"x-slow: 1\r\n") for _ in range(SLOW)]
        bodies = [trickle(ingest.port, body, b"{") for _ in range(SLOW)]
        return await asyncio.gather(*headers, *bodies)

    with Load(ingest.port, deployment.key, deployment.organizations, senders=2, impatient=0) as load:
        until(lambda: load.book.acknowledged, 30, "the first acknowledgement")
        served = len(load.book.acknowledged)
        let_go = asyncio.run(all_at_once())
        assert len(load.book.acknowledged) - served > 100, "the others are served all the while"
        book = load.finish()
    assert book.failures == 0
    assert max(seconds for seconds, _ in let_go) < 15
    assert {b"HTTP/1.1 408 Request Timeout"} >= {answer.partition(b"\r\n")[0] for _, answer in let_go if answer}
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\n{2 * SLOW} slow clients, memory {before} to {rss(ingest.pid)} MiB: {counted}")
    assert counted.clean
    assert rss(ingest.pid) - before < 100


def test_ten_thousand_tiny_requests_and_one_of_five_mebibytes(deployment: Deployment) -> None:
    ingest = deployment.ingest(TRAILKEEPER_LEAF_BYTES="8192").start()
    before = rss(ingest.pid)
    book, dice = Book(), random.Random(9)
    batches = [book.batch(deployment.organizations, 1, dice, padding=1) for _ in range(10_000)]

    async def send(client: Client) -> None:
        while batches:
            status, answer = await client.post(batches.pop().lines)
            assert status == 202
            book.note(answer)
        await client.close()

    async def all_at_once() -> None:
        await asyncio.gather(*(send(Client(ingest.port, deployment.key)) for _ in range(32)))

    began = time.monotonic()
    asyncio.run(all_at_once())
    seconds = time.monotonic() - began

    large = book.batch(deployment.organizations, 1, dice, padding=1)
    lines = list(large.lines)
    while sum(map(len, lines)) + len(lines) < (5 << 20) - 9_000:
        lines += book.batch(deployment.organizations, 1, dice, padding=8_000).lines
    status, answer = post(ingest.port, deployment.key, lines)
    assert status == 202
    book.note(answer)
    too_large, _ = post(ingest.port, deployment.key, [*lines, b" " * 10_000])
    assert too_large == 413
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\n10,000 requests in {seconds:.1f} s, one of 5 MiB, memory {before} to {rss(ingest.pid)} MiB: {counted}")
    assert counted.clean
    assert rss(ingest.pid) - before < 150
