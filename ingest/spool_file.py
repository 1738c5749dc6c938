"""The spool's file: its schema, how everybody opens it, who may have it, and its renewal where it is damaged."""

import fcntl
import hashlib
import os
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import orjson
import structlog

from audit.errors import ConfigurationError
from audit.ids import new_id
from audit.instants import to_ms, utc_now
from audit.wire import unstamp
from ingest.salvage import Rescued, checksum, damage, rescue, sums

_log = structlog.get_logger("trailkeeper.ingest")
APPLICATION_ID = 0x544B5350  # "TKSP": so that `file` and a wrong path can tell what this is
VERSION = 1
SCHEMA = """
CREATE TABLE log (id TEXT NOT NULL, next INTEGER NOT NULL);
-- One row a commit. heads: [[id, organization_id, occurred_at, retention], …]; bodies: stored events, one a line; sums: of
-- each event; crc: over heads and sums. Numbers below 0: events of an earlier log, rescued from a damaged spool.
CREATE TABLE batch (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
                    committed_at INTEGER NOT NULL, heads BLOB NOT NULL, bodies BLOB NOT NULL,
                    crc INTEGER NOT NULL, sums BLOB NOT NULL);
CREATE TABLE seen (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, digest BLOB NOT NULL);
CREATE TABLE dead (id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, occurred_at INTEGER NOT NULL,
                   retention TEXT NOT NULL, body BLOB NOT NULL, error TEXT NOT NULL, buried_at TEXT NOT NULL);
-- What was rescued here from a damaged spool, until it is on the trail: the event's id, and its details as JSON.
CREATE TABLE salvage (id TEXT NOT NULL, details TEXT NOT NULL);
"""


def open_file(path: Path, *, make: bool = False) -> apsw.Connection:
    """Open a spool's file as every user of it does: commits are synced, and a busy moment of another is waited out.

    Raises ConfigurationError for a path that can't be used and a file that is no spool; nothing is written to such a one.
    """
    db = None
    try:
        db = apsw.Connection(str(path))
        db.set_busy_timeout(10_000)
        _require_spool(db, path, make)
        # A transaction that reads first and then finds that another process wrote could not go on.
        db.transaction_mode = "IMMEDIATE"
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", "full")
        db.pragma("fullfsync", True)
        # Checkpoints are run here, after a commit: SQLite's own would keep a failed fsync to itself.
        db.pragma("wal_autocheckpoint", 0)
    except apsw.Error as error:
        if db is not None:
            db.close()
        raise ConfigurationError(
            f"The spool {path} can't be opened: {error}.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Name a spool, or a new file in a folder that this user may write.",
        ) from None
    except ConfigurationError:
        if db is not None:
            db.close()
        raise
    return db


def _require_spool(db: apsw.Connection, path: Path, make: bool) -> None:
    version = db.pragma("user_version")
    if make and version == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchall():
        return
    if db.pragma("application_id") != APPLICATION_ID:
        raise ConfigurationError(
            f"{path} is no spool of Trailkeeper's.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Name a spool, or a new file.",
        )
    if version > VERSION:
        raise ConfigurationError(
            f"The spool {path} was written by a newer Trailkeeper (version {version}; this one knows {VERSION}).",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Run the newer version until the spool is empty.",
        )


def lock(path: Path) -> int:
    """Take the spool for this process, until it ends however it ends: two logs must not have one name."""
    try:
        handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The spool {path} can't be opened: {error.strerror}.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Name a file in a folder that exists and that this user may write.",
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ConfigurationError(
            f"The spool {path} is in use by another process.",
            field="TRAILKEEPER_SPOOL_PATH",
            fix="Give each ingest instance a spool of its own, or go through the running one with --url.",
        ) from None
    return handle


def digest_of(normal: bytes) -> bytes:
    """Tell one event from another with the same id."""
    return hashlib.blake2b(normal, digest_size=16).digest()


def insert_batch(db: apsw.Connection, first: int, heads: Sequence[tuple[Any, ...]], bodies: Sequence[bytes]) -> int:
    """Write one commit's row; return the size of its events."""
    head, text, each = orjson.dumps(heads), b"\n".join(bodies), sums(bodies)
    db.execute(
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (first, len(bodies), len(text), to_ms(utc_now()), head, text, checksum(head, each), each),
    )
    return len(text)


def make_schema(db: apsw.Connection, log_id: str) -> None:
    """Make a new file a spool, in the transaction of the caller's."""
    db.execute(SCHEMA)
    db.execute("INSERT INTO log VALUES (?, 0)", (log_id,))
    db.pragma("application_id", APPLICATION_ID)
    db.pragma("user_version", VERSION)


def damaged_files(path: Path) -> Sequence[Path]:
    """List what was set aside of damaged spools and lies there still."""
    return sorted(path.parent.glob(f"{path.name}.corrupt-*"))


def salvage(path: Path, log_id: str | None) -> None:
    """Where a spool's file is damaged, put one in its place that has all that is intact, under a new log's name.

    A log that went on with the old name might give a number twice, that of an event which is in the store already. The
    damaged files stay beside it. Safe to be killed in: what was not finished is done again.
    """
    ready = path.with_name(path.name + ".salvaged")
    if ready.exists():
        _replace(path, ready)
    if not path.exists():
        return
    wal = _sibling(path, "-wal")
    before = wal.read_bytes() if wal.exists() else b""  # opening the file is enough for SQLite to drop some of it
    found = damage(path)
    if found is None:
        return
    rescued = rescue(path, before)
    if not (rescued.log_id or path.read_bytes()[68:72] == APPLICATION_ID.to_bytes(4)):
        return  # nothing says that it is a spool: opening it will say what it is
    kept = path.with_name(f"{path.name}.corrupt-{utc_now():%Y%m%dT%H%M%S}")
    new = _next_name(rescued.log_id or log_id)
    missing = rescued.missing()
    details = {
        "damage": found,
        "kept_as": kept.name,
        "rescued": len(rescued.events),
        "dead_letters": len(rescued.dead),
        "log": rescued.log_id,
        "next_log": new,
        "missing": [f"{first}-{last}" for first, last in missing[:100]],
        "missing_count": sum(last - first + 1 for first, last in missing),
    }
    _log.error("spool_damaged", path=str(path), **details)
    draft = path.with_name(path.name + ".draft")
    for stale in (draft, _sibling(draft, "-wal"), _sibling(draft, "-shm")):
        stale.unlink(missing_ok=True)
    _write(draft, rescued, new, details)
    os.link(path, kept)
    if before:
        _sibling(kept, "-wal").write_bytes(before)
    draft.rename(ready)
    _replace(path, ready)
    _log.warning("spool_salvaged", path=str(path), **details)


def _replace(path: Path, ready: Path) -> None:
    # The old write-ahead log goes first: SQLite would apply it to whatever file has the name.
    _sibling(path, "-wal").unlink(missing_ok=True)
    _sibling(path, "-shm").unlink(missing_ok=True)
    ready.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(draft: Path, rescued: Rescued, log_id: str, details: dict[str, object]) -> None:
    documents = [rescued.events[key] for key in sorted(rescued.events)]
    db = apsw.Connection(str(draft))
    try:
        db.pragma("synchronous", "full")
        with db:
            make_schema(db, log_id)
            for start in range(0, len(documents), 1000):
                some = documents[start : start + 1000]
                heads = [(one.id, one.organization_id, one.occurred_at, one.retention) for one in some]
                first = start - len(documents)
                insert_batch(db, first, heads, [one.body for one in some])
                for place, one in enumerate(some):
                    with suppress(ValueError):
                        row = (first + place, uuid.UUID(one.id).bytes, digest_of(unstamp(one.body)))
                        db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", row)
            db.executemany("INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?)", list(rescued.dead.values()))
            db.execute("INSERT INTO salvage VALUES (?, ?)", (new_id(), orjson.dumps(details).decode()))
    finally:
        db.close()


def _next_name(name: str | None) -> str:
    """Name the log that follows: `a`, `a.r1`, `a.r2`."""
    if name is None:
        return f"log-{uuid.uuid4().hex[:12]}"
    again = re.fullmatch(r"(.+)\.r(\d+)", name)
    base, count = (again[1], int(again[2])) if again else (name, 0)
    suffix = f".r{count + 1}"
    return base[: 64 - len(suffix)] + suffix


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
