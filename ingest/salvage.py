"""A spool whose file is damaged: cut short, with flipped bytes. What is intact of it goes on; what isn't is told.

`damage` looks before the spool is opened: at the write-ahead log's frames, the structure (SQLite's quick_check), and the
checksum of every batch. `rescue` then reads the file and its write-ahead log page by page, without trusting any page to
say where another one is: a batch's row counts where its checksum holds, and of a row where it doesn't, every event counts
whose own checksum does. Events that were delivered already may come up again; the store knows their ids.

Of a write-ahead log with a bad frame SQLite drops everything behind it (sqlite.org/fileformat2.html, section 4.3), although
commits behind it were acknowledged and are whole. They are rescued here. Not rescued: an event whose own bytes are
damaged or gone. A dead letter has no checksum: what is JSON with its id in it is taken for whole. One that was replayed or
discarded a moment before may come up again. The damaged files are kept. Takes about three times the file in memory.
"""

import os
import re
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import orjson

from store.protocol import Document

Cell = tuple[Any, ...]
_FRAME = 24  # bytes before each page in the write-ahead log
_head = re.compile(rb'\["([0-9a-f-]{36})","((?:[^"\\]|\\.)*)",(-?\d+),"(\w+)"\]')
_log_name = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}").fullmatch


def sums(bodies: Sequence[bytes]) -> bytes:
    """Write the checksum of each event (CRC-32: against accidents, not against people), 4 bytes each."""
    return array("I", map(zlib.crc32, bodies)).tobytes()


def checksum(heads: bytes, each: bytes) -> int:
    """Give the checksum of a batch: over its heads and the checksums of its events, so that no event is read twice."""
    return zlib.crc32(each, zlib.crc32(heads))


def intact(heads: bytes, bodies: Sequence[bytes], crc: int, each: bytes) -> bool:
    """Tell whether a batch is what was written; asked at each reading."""
    return checksum(heads, each) == crc and sums(bodies) == each


@dataclass
class Rescued:
    """What was found in a damaged spool."""

    log_id: str | None = None
    next: int = 0
    """One more than the highest number known to have been given."""
    events: dict[tuple[str, int], Document] = field(default_factory=dict)
    """By log and number, so that copies of a row count once."""
    damaged: set[int] = field(default_factory=set)
    dead: dict[str, Cell] = field(default_factory=dict)

    def missing(self) -> list[tuple[int, int]]:
        """The log's numbers, from the first one that was waiting, that nothing intact was found of; as ranges.

        Those are events that the store has already, or events that are lost: the spool alone can't tell.
        """
        found = {number for log, number in self.events if log == self.log_id}
        start = min(found | self.damaged, default=self.next)
        ranges: list[tuple[int, int]] = []
        for number in sorted(found | {self.next}):
            if number > start:
                ranges.append((start, number - 1))
            start = number + 1
        return ranges


def damage(path: Path) -> str | None:
    """Say what is wrong with a spool's file, or None. Reads all of it."""
    wal = path.with_name(path.name + "-wal")
    committed = _committed_frames(wal)
    if path.stat().st_size == 0:
        return "the file is empty and its write-ahead log is not" if committed else None
    db = apsw.Connection(str(path))
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").get  # noqa: B018 until it has read, it knows of no write-ahead log
        if committed:
            valid, _ = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if valid < committed:
                return f"its write-ahead log breaks off at frame {max(valid, 0)} of {committed}"
        if (found := db.execute("PRAGMA quick_check(1)").get) != "ok":
            return f"its structure is damaged ({found})"
        for first, heads, bodies, crc, each in db.execute("SELECT first, heads, bodies, crc, sums FROM batch"):
            if not intact(heads, bodies.split(b"\n"), crc, each):
                return f"the batch from number {first} on is not what was written"
        if db.execute("SELECT count(*) FROM log").get != 1:
            return "the log's name is gone"
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.IOError) as error:
        return f"SQLite can't read it ({error})"
    finally:
        db.close()
    return None


def rescue(path: Path, wal: bytes) -> Rescued:
    """Read whatever is intact in a spool's file and the given bytes of its write-ahead log."""
    found = Rescued()
    content = path.read_bytes()
    size = _page_size(content, wal)
    overlay: dict[int, bytes] = {}

    def in_file(number: int) -> bytes | None:
        return content[(number - 1) * size : number * size] if number > 0 else None

    def latest(number: int) -> bytes | None:
        return overlay.get(number) or in_file(number)

    numbers = range(1, -(-len(content) // size) + 1)
    for number in numbers:
        _take(found, in_file(number) or b"", size, in_file)
    written: list[int] = []
    for number, commit, page in _frames(wal, size):
        overlay[number] = page
        written.append(number)
        if commit:
            for each in written:
                _take(found, overlay[each], size, latest)
            written.clear()
    for each in written:  # where the frame that ended the last commit is damaged
        _take(found, overlay[each], size, latest)
    if overlay:  # rows that begin in the file and go on in the write-ahead log
        for number in numbers:
            _take(found, in_file(number) or b"", size, latest)
    if found.log_id is None and found.events:
        found.log_id = max(found.events)[0]
    found.next = max([found.next, *(n + 1 for log, n in found.events if log == found.log_id)])
    found.damaged -= {number for log, number in found.events if log == found.log_id}
    return found


def _take(found: Rescued, page: bytes, size: int, getter: Callable[[int], bytes | None]) -> None:
    for row in _rows(page, size, getter):
        match row:
            case (int(first), None, int(), int(), int(), bytes(heads), bytes(bodies), int(crc), bytes(each)):
                _take_batch(found, first, heads, bodies, crc, each)
            case (int(), str(name), int(following)) if _log_name(name):
                found.log_id = name
                found.next = max(found.next, following)
            case (int(), str(id), str(), int(), str(), bytes(body), str(), str()) if _says(body, "id") == id:
                found.dead[id] = row[1:]


def _take_batch(found: Rescued, first: int, heads: bytes, bodies: bytes, crc: int, each: bytes) -> None:
    lines = bodies.split(b"\n")
    whole = intact(heads, lines, crc, each)
    known = {match[1].decode(): match for match in _head.finditer(heads)}
    for place, expected in enumerate(memoryview(each[: len(each) // 4 * 4]).cast("I")):
        if not whole and (place >= len(lines) or zlib.crc32(lines[place]) != expected):
            found.damaged.add(first + place)
            continue
        line = lines[place]
        log = _says(line, "log")
        head = known.get(str(_says(line, "id")))
        if head is None or not isinstance(log, dict):
            found.damaged.add(first + place)
            continue
        document = Document(head[1].decode(), orjson.loads(b'"%b"' % head[2]), int(head[3]), head[4].decode(), line)
        if whole or document.organization_id == _says(line, "organization_id"):
            found.events.setdefault((log["id"], log["index"]), document)
        else:
            found.damaged.add(first + place)


def _says(body: bytes, name: str) -> object:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return event.get(name) if isinstance(event, dict) else None


def _page_size(content: bytes, wal: bytes) -> int:
    """Read the size of a page from either file's header; SQLite's default where both are damaged."""
    for size in (int.from_bytes(content[16:18]), int.from_bytes(wal[8:12])):
        if size in (512, 1024, 2048, 4096, 8192, 16384, 32768):
            return size
    return 4096


def _frames(wal: bytes, size: int) -> Iterator[tuple[int, bool, bytes]]:
    """Go over the frames of a write-ahead log, valid or not: page number, whether a commit ends there, the page."""
    for at in range(32, len(wal) - _FRAME, size + _FRAME):
        number, commit = struct.unpack_from(">II", wal, at)
        if 0 < number < 1 << 28:
            yield number, commit != 0, wal[at + _FRAME : at + _FRAME + size]


def _committed_frames(wal: Path) -> int:
    """Count the frames up to the last commit of this generation, going by their salts and not by their checksums.

    SQLite begins the file anew with other salts, the first one counted up by 1; what stands behind is left over.
    """
    if not wal.exists():
        return 0
    with wal.open("rb") as file:
        header = file.read(32)
        if len(header) < 32:
            return 0
        size = _page_size(b"", header)
        salts = {header[16:24]}
        committed = frame = 0
        while len(head := file.read(_FRAME)) == _FRAME:
            frame += 1
            if frame == 1 and int.from_bytes(head[8:12]) + 1 != int.from_bytes(header[16:20]):
                salts.add(head[8:16])
            if head[8:16] in salts and head[4:8] != b"\0\0\0\0":
                committed = frame
            file.seek(size, os.SEEK_CUR)
    whole = (wal.stat().st_size - 32) // (size + _FRAME)
    return committed if committed <= whole else max(committed, whole + 1)


def _rows(page: bytes, size: int, getter: Callable[[int], bytes | None]) -> Iterator[Cell]:
    """Read the rows of a table's leaf page (sqlite.org/fileformat2.html, sections 1.6 and 2)."""
    for at in _cells(page, size):
        try:
            length, at = _varint(page, at)
            rowid, at = _varint(page, at)
            rowid -= (rowid >> 63) << 64
            payload = _payload(page, at, length, size, getter)
            yield (rowid, *_record(payload))
        except (IndexError, ValueError, struct.error, UnicodeDecodeError):
            continue


def _cells(page: bytes, size: int) -> Iterator[int]:
    """Find where cells begin: as the page says, or, where it can't be right, anywhere."""
    at = 100 if page[:16] == b"SQLite format 3\0" else 0
    if len(page) < size:
        yield from range(len(page))
        return
    kind, count, start = page[at], int.from_bytes(page[at + 3 : at + 5]), int.from_bytes(page[at + 5 : at + 7])
    places = [int.from_bytes(page[p : p + 2]) for p in range(at + 8, min(at + 8 + 2 * count, size), 2)]
    plausible = 0 < len(places) == count and start <= min(places) and max(places) < size
    if plausible and kind not in (2, 5, 10):  # also where only the byte that says its kind is damaged
        yield from places
    elif kind == 13 and any(
        page[at + 1 :]
    ):  # a leaf whose header can't be right: a row is told by its shape and checksum
        yield from range(at + 8, size)


def _payload(page: bytes, at: int, length: int, size: int, getter: Callable[[int], bytes | None]) -> bytes:
    if not 2 < length < 1 << 30:
        raise ValueError("no payload")
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    local = length
    if length > most:
        local = least + (length - least) % (size - 4)
        local = local if local <= most else least
    if at + local > len(page):
        raise ValueError("beyond the page")
    if page[at] not in range(3, 16):
        raise ValueError("no record of ours")  # its header has 3 to 15 bytes; said early, as every offset may be asked
    parts = [page[at : at + local]]
    following = int.from_bytes(page[at + local : at + local + 4]) if length > local else 0
    left = length - local
    while left > 0:
        chained = getter(following)
        if chained is None:
            parts.append(bytes(left))  # what follows is gone; events before it may be whole
            break
        parts.append(chained[4 : 4 + left])
        left -= size - 4
        following = int.from_bytes(chained[:4])
    return b"".join(parts)


def _record(payload: bytes) -> Iterator[Any]:
    end, at = _varint(payload, 0)
    body = end
    while at < end:
        kind, at = _varint(payload, at)
        if kind == 0:
            yield None
        elif kind in (8, 9):
            yield kind - 8
        elif kind < 7:
            width = (0, 1, 2, 3, 4, 6, 8)[kind]
            yield int.from_bytes(payload[body : body + width], signed=True)
            body += width
        elif kind >= 12:
            width = (kind - 12) // 2
            value = payload[body : body + width]
            yield value.decode() if kind % 2 else value
            body += width
        else:
            raise ValueError("no value of ours")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        value = value << 7 | byte & 0x7F
        at += 1
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1
