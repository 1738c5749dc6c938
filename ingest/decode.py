"""From a request's body to the raw lines of its events, within bounds of bytes and count.

Nothing here looks into an event: where one ends is all it needs to know, so that one bad event can be refused alone.
"""

import json
import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import zstandard

from audit.errors import MalformedBody, TooLarge, TrailkeeperError, UnsupportedMedia

_BLOCK = 1 << 18
_whitespace = re.compile(r"[ \t\n\r]*")
_scan = json.JSONDecoder().raw_decode


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
    lines = _split_json(text) if media_type == "application/json" else _split_ndjson(text)
    if len(lines.lines) > max_events:
        raise TooLarge(
            f"The request has {len(lines.lines):,} events.", limit=max_events, fix="Send them in several requests."
        )
    if not lines.lines:
        raise MalformedBody("There is no event in the request.", fix="Send at least one.")
    return lines


def too_many_bytes(limit: int) -> TooLarge:
    """Make the error for a body past the limit, packed or unpacked."""
    return TooLarge(
        f"The request is larger than {limit:,} bytes, unpacked.", limit=limit, fix="Send it in several requests."
    )


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
    parts, size = [], 0
    while body:  # a gzip file is one or more members (RFC 1952, section 2.2)
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            part = member.decompress(body, limit - size + 1)
            body = member.unconsumed_tail or member.unused_data
            size += len(part)
            if size > limit:
                raise too_many_bytes(limit)
            if not part and not member.eof:
                raise EOFError("it ends too early")
            parts.append(part)
    return b"".join(parts)


def _unpack_zstd(body: bytes, limit: int) -> bytes:
    parts, size = [], 0
    while body:  # likewise one or more frames (RFC 8878, section 3)
        # The window is bounded too: a header may ask for far more memory than the content needs.
        frame = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()
        for start in range(0, len(body), 1 << 10):
            part = frame.decompress(body[start : start + (1 << 10)])
            size += len(part)
            if size > limit:
                raise too_many_bytes(limit)
            parts.append(part)
            if frame.eof:
                body = frame.unused_data + body[start + (1 << 10) :]
                break
        else:
            raise EOFError("it ends too early")
    return b"".join(parts)


def _split_ndjson(text: bytes) -> Lines:
    return Lines([stripped for line in text.split(b"\n") if (stripped := line.strip())], single=False)


def _split_json(text: bytes) -> Lines:
    """Find the events in one JSON document. An array is cut into the texts of its elements, each as it was sent."""
    stripped = text.strip()
    if stripped[:1] != b"[":
        return Lines([stripped] if stripped else [], single=True)
    try:
        return Lines(list(_elements(stripped.decode())), single=False)
    except UnicodeDecodeError as error:
        raise _not_json(f"it is not UTF-8 ({error.reason} at byte {error.start})") from None
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from None


def _elements(text: str) -> list[bytes]:
    found: list[bytes] = []
    at = _skip(text, 1)
    if text[at : at + 1] == "]":
        _refuse_rest(text, at + 1)
        return found
    while True:
        _, end = _scan(text, at)
        # A lone surrogate can't be here: the text was decoded from UTF-8, and escapes are still escapes.
        found.append(text[at:end].encode())
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
