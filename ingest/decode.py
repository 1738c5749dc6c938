"""From a request's body to the raw lines of its events, within bounds of bytes and count.

Nothing here looks into an event: where one ends is all it needs to know, so that one bad event can be refused alone.
"""

import codecs
import json
import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import zstandard

from audit.errors import MalformedBody, TooLarge, TrailkeeperError, UnsupportedMedia

_BLANKS = b" \t\r\n"  # RFC 8259, section 2
_MOST_PARTS = 10_000  # gzip members or zstd frames: one an event, for whoever packs them one by one
_whitespace = re.compile(r"[ \t\n\r]*")
# Only where an element ends is asked here; whether it is acceptable is for its own validation, which refuses it alone. So
# control characters pass, and numbers become floats, which can't fail (an int of more than 4,300 digits does).
_scan = json.JSONDecoder(strict=False, parse_int=float).raw_decode


class Lines(NamedTuple):
    """The events of one request. `single` where the body was one JSON object: then its answer is about that one."""

    lines: Sequence[bytes]
    single: bool


def decode(body: bytes, content_type: str, content_encoding: str, *, max_bytes: int, max_events: int) -> Lines:
    """Unpack and split a body.

    Raises UnsupportedMedia (415), MalformedBody (400) or TooLarge (413) for the request as a whole; nothing of it is
    taken then.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in ("application/json", "application/x-ndjson", "application/ndjson"):
        raise UnsupportedMedia(
            f"The content type {content_type!r} isn't read here." if content_type else "There is no content type.",
            field="Content-Type",
            fix="Send application/json with one event or an array, or application/x-ndjson with one event a line.",
        )
    text = unpack(body, content_encoding.strip().lower(), max_bytes)
    text = text.removeprefix(codecs.BOM_UTF8)  # RFC 8259, section 8.1: a reader may ignore it
    lines = _split_json(text, max_events) if media_type == "application/json" else _split_ndjson(text)
    if len(lines.lines) > max_events:
        raise _too_many_events(max_events)
    if not lines.lines:
        raise MalformedBody("There is no event in the request.", fix="Send at least one.")
    return lines


def too_many_bytes(limit: int) -> TooLarge:
    """Make the error for a body past the limit, packed or unpacked."""
    return TooLarge(
        f"The request is larger than {limit:,} bytes, unpacked.", limit=limit, fix="Send it in several requests."
    )


def _too_many_events(limit: int) -> TooLarge:
    return TooLarge(f"The request has more than {limit:,} events.", limit=limit, fix="Send them in several requests.")


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the content encoding (RFC 9110, section 8.4), never holding more than `limit` bytes of output."""
    if encoding in ("", "identity"):
        if len(body) > limit:
            raise too_many_bytes(limit)
        return body
    if encoding not in ("gzip", "x-gzip", "zstd"):
        raise UnsupportedMedia(
            f"The content encoding {encoding!r} isn't read here.",
            field="Content-Encoding",
            fix="Send gzip, zstd, or nothing packed.",
        )
    try:
        return _unpack_zstd(body, limit) if encoding == "zstd" else _unpack_gzip(body, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise MalformedBody(
            f"The body is no complete {encoding} stream: {error}.",
            field="Content-Encoding",
            fix="Pack it again and send all of it.",
        ) from None


def _unpack_gzip(body: bytes, limit: int) -> bytes:
    """Unpack one or more members (RFC 1952, section 2.2)."""
    slices, parts, size = _Slices(body, 1 << 14), [], 0
    while slices.next_part():
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            part = member.decompress(slices.next(), limit - size + 1)
            size += len(part)
            if size > limit:
                raise too_many_bytes(limit)
            parts.append(part)
        slices.give_back(member.unused_data)
    return b"".join(parts)


def _unpack_zstd(body: bytes, limit: int) -> bytes:
    """Unpack one or more frames (RFC 8878, section 3)."""
    # A frame's output can't be bounded, only its input: 1 KiB of it holds 32 MiB at the worst.
    slices, parts, size = _Slices(body, 1 << 10), [], 0
    # The window is bounded too: a header may ask for far more memory than the content needs.
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 23)
    while slices.next_part():
        frame = decompressor.decompressobj()
        while not frame.eof:
            part = frame.decompress(slices.next())
            size += len(part)
            if size > limit:
                raise too_many_bytes(limit)
            parts.append(part)
        slices.give_back(frame.unused_data)
    return b"".join(parts)


class _Slices:
    """Feeds a body a slice at a time, so that what a part leaves over is never a copy of all the rest."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body = memoryview(body)
        self._size = size
        self._at = 0
        self._parts = 0

    def next_part(self) -> bool:
        """Tell whether there is another member or frame. Raises MalformedBody where there are absurdly many."""
        if self._at >= len(self._body):
            return False
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise MalformedBody(
                "The body is packed in too many parts.",
                field="Content-Encoding",
                limit=_MOST_PARTS,
                fix="Pack it as one gzip member or zstd frame.",
            )
        return True

    def next(self) -> memoryview:
        """Give the next slice. Raises EOFError behind the end."""
        if self._at >= len(self._body):
            raise EOFError("it ends too early")
        start, self._at = self._at, self._at + self._size
        return self._body[start : self._at]

    def give_back(self, unused: bytes) -> None:
        """Put back what belongs to the next part."""
        self._at = min(self._at, len(self._body)) - len(unused)


def _split_ndjson(text: bytes) -> Lines:
    return Lines([stripped for line in text.split(b"\n") if (stripped := line.strip(_BLANKS))], single=False)


def _split_json(text: bytes, max_events: int) -> Lines:
    """Find the events in one JSON document. An array is cut into the texts of its elements, each as it was sent."""
    stripped = text.strip(_BLANKS)
    if stripped[:1] != b"[":
        return Lines([stripped] if stripped else [], single=True)
    try:
        # Bytes that are not UTF-8 come through unchanged, for the element they are in to be refused alone.
        return Lines(_elements(stripped.decode("utf-8", "surrogateescape"), max_events), single=False)
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from None


def _elements(text: str, most: int) -> list[bytes]:
    found: list[bytes] = []
    at = _skip(text, 1)
    if text[at : at + 1] == "]":
        _refuse_rest(text, at + 1)
        return found
    while True:
        _, end = _scan(text, at)
        found.append(text[at:end].encode("utf-8", "surrogateescape"))
        if len(found) > most:
            raise _too_many_events(most)
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark == "]":
            _refuse_rest(text, at + 1)
            return found
        if mark != ",":
            raise _not_json(f"a comma or the end of the array is missing at character {at}")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _whitespace.match(text, at)
    return found.end() if found else at


def _refuse_rest(text: str, at: int) -> None:
    if at != len(text):
        raise _not_json(f"there is more behind the array, at character {at}")


def _not_json(why: str) -> TrailkeeperError:
    return MalformedBody(
        f"The body is not JSON: {why}.", fix="Send one JSON object, an array of them, or NDJSON with its content type."
    )
