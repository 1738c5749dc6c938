"""The SQLite file: opening it safely, its schema and version, and its errors in our words.

Pages are 8 KiB: some ten events of the usual 650 bytes and their columns fill one well, and hardly any needs an overflow.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from audit.errors import ConfigurationError, DiskFull, StoreUnavailable, SyncFailed, TrailkeeperError

APPLICATION_ID = 0x54_4B_50_52  # "TKPR", so that file(1) and we can tell the file is ours
SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0
# I/O errors that mean "no room" rather than a disk that fails: a quota, a file size limit, no room for the WAL's index.
NO_ROOM = (apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE)

# Every index begins with the day: what is written now touches one small part of each, and what leaves leaves together.
# Beginning with the organization instead, 500 events of 50 organizations touched some 2,500 pages, and within 100,000 events
# writing slowed down to a fifth. `days` says on which days an organization has any. Next comes the organization, so that one
# tenant's events lie together; last come time and id, the order of a trail.
#
# `resource` is four bytes of the resource's id, enough to find its few events; the id itself is read from the body. It makes
# the file 10 % smaller. An index on outcome holds only what went wrong, which is what people look for, and a small part.
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE logs (id TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    kind TEXT, id TEXT, body BLOB NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE organizations (organization INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, retention TEXT NOT NULL);
CREATE TABLE days (
    organization INTEGER, day INTEGER, events INTEGER NOT NULL, PRIMARY KEY (organization, day)
) WITHOUT ROWID;
CREATE TABLE kinds (
    kind INTEGER PRIMARY KEY, organization INTEGER NOT NULL, action TEXT NOT NULL, resource_type TEXT NOT NULL,
    UNIQUE (organization, action, resource_type)
);
CREATE TABLE actors (
    actor INTEGER PRIMARY KEY, organization INTEGER NOT NULL,
    type TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL,
    UNIQUE (organization, id, name, email, type)
);
CREATE INDEX actors_by_name ON actors (organization, name);
CREATE INDEX actors_by_email ON actors (organization, email);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    organization INTEGER NOT NULL,
    day INTEGER NOT NULL, -- since 1970-01-01, UTC
    time INTEGER NOT NULL, -- milliseconds since its midnight
    kind INTEGER NOT NULL,
    actor INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    resource INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX by_time ON events (day, organization, time, id);
CREATE INDEX by_kind ON events (day, organization, kind, time, id);
CREATE INDEX by_actor ON events (day, organization, actor, time, id);
CREATE INDEX by_resource ON events (day, organization, resource, time, id) WHERE resource IS NOT NULL;
CREATE INDEX by_outcome ON events (day, organization, outcome, time, id) WHERE outcome > 0;
"""


def require_sound_sqlite(version: str) -> None:
    """Refuse an SQLite with the WAL-reset bug, which can lose committed transactions.

    It came with WAL in 3.7.0 and was mended in 3.51.3, and for older lines in 3.44.6 and 3.50.7 (sqlite.org/wal.html,
    "The WAL-Reset Bug"). Raises ConfigurationError.
    """
    major, minor, patch, *_ = (*(int(part) for part in re.findall(r"\d+", version)), 0, 0, 0)
    mended = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}.get((major, minor), (3, 51, 3))
    if (major, minor, patch) >= mended:
        return
    raise ConfigurationError(
        f"SQLite {version} can lose committed events (its WAL-reset bug).",
        fix="Install apsw 3.51.3 or newer: it brings an SQLite of its own.",
    )


def open_file(path: Path) -> apsw.Connection:
    """Open the file for writing, making it and its schema where there is none.

    Raises ConfigurationError for a path that can't be used, a file that isn't ours, and a schema newer than this program.
    """
    require_sound_sqlite(apsw.sqlite_lib_version())
    try:
        connection = apsw.Connection(str(path))
    except apsw.CantOpenError:
        raise _unusable(path, "can't be opened: its folder is missing or may not be written") from None
    try:
        connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
        _make(connection, path)
        tune(connection)
        # Checkpoints are run by the store after a commit: SQLite's own would keep a failed fsync to itself.
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("journal_size_limit", 64 << 20)
        # Deleted events are overwritten where that costs no extra write; vacuuming gives their pages back.
        connection.execute("PRAGMA secure_delete = FAST")
    except apsw.NotADBError:
        connection.close()
        raise _unusable(path, "is no SQLite file") from None
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        connection.close()
        raise _unusable(path, "may not be written") from None
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """Open one more connection, which can't write."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
    tune(connection)
    connection.pragma("query_only", True)
    return connection


def tune(connection: apsw.Connection) -> None:
    """Set what is per connection: every commit synced, on macOS down to the platter; 16 MiB of pages cached."""
    connection.pragma("synchronous", "FULL")
    connection.pragma("fullfsync", True)
    connection.pragma("cache_size", -16_384)
    connection.pragma("temp_store", "MEMORY")


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, in one place."""
    try:
        yield
    except (TrailkeeperError, apsw.ConstraintError):  # an id that is known already is no failure of the engine's
        raise
    except apsw.FullError as error:
        raise _disk_full(path, error) from error
    except apsw.IOError as error:
        if is_sync_failure(error):
            raise SyncFailed(
                f"The disk could not sync {path}.",
                fix="Check the disk, then restart: what was acknowledged before is recovered from the file.",
            ) from error
        if getattr(error, "extendedresult", 0) in NO_ROOM:
            raise _disk_full(path, error) from error
        raise StoreUnavailable(
            f"The disk could not read or write {path} ({error}).", fix="Check the disk; room is not what it lacks."
        ) from error
    except apsw.BusyError as error:
        raise StoreUnavailable(
            f"{path} was locked by another process for {BUSY_SECONDS:.0f} s.", retry_after=1
        ) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreUnavailable(
            f"The file {path} is damaged ({error}).",
            fix="Stop the service, keep a copy, and run `sqlite3 FILE .recover`.",
        ) from error
    except apsw.Error as error:
        raise StoreUnavailable(f"SQLite can't use {path} ({type(error).__name__}: {error}).") from error


def is_sync_failure(error: apsw.Error) -> bool:
    """Tell whether an fsync failed: after that nobody knows what the disk holds, and retrying proves nothing."""
    return getattr(error, "extendedresult", 0) in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def _make(connection: apsw.Connection, path: Path) -> None:
    if connection.pragma("page_count") == 0:
        connection.pragma("page_size", 8192)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_wal(connection, path)
    if connection.pragma("user_version") != SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _make_schema(connection, path)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    _require_ours(connection, path)


def _use_wal(connection: apsw.Connection, path: Path) -> None:
    """Switch to WAL. SQLite does not wait for its turn here, so two processes that make a file at once have to."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise _unusable(path, f"can't be used in WAL mode on this file system (journal mode {mode})")
        return


def _make_schema(connection: apsw.Connection, path: Path) -> None:
    version = connection.pragma("user_version")
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
        connection.execute(SCHEMA)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", SCHEMA_VERSION)


def _require_ours(connection: apsw.Connection, path: Path) -> None:
    if connection.pragma("application_id") != APPLICATION_ID:
        raise _unusable(path, "is an SQLite file of another program")
    version = connection.pragma("user_version")
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer Trailkeeper (schema {version}; this one knows {SCHEMA_VERSION}).",
            field="TRAILKEEPER_STORE_URL",
            fix="Run the newer version, or export the events there and import them here.",
        )


def _unusable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} {why}.",
        field="TRAILKEEPER_STORE_URL",
        fix="Name a file in a folder that exists and may be written, like sqlite:///trailkeeper.sqlite.",
    )


def _disk_full(path: Path, error: apsw.Error) -> DiskFull:
    return DiskFull(
        f"{path} could not be written ({error}); nothing of this was stored.",
        fix="Make room on its disk and send it again.",
        retry_after=30,
    )
