"""The file: which SQLite may open it, and which files are ours."""

from pathlib import Path

import apsw
import pytest

from audit.errors import ConfigurationError, DiskFull, StoreUnavailable
from store.sqlite import SqliteStore
from store.sqlite_file import SCHEMA_VERSION, engine_errors, require_sound_sqlite


@pytest.mark.parametrize(
    "version", ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.46.1", "3.49.2", "3.50.6", "3.51.0", "3.51.2", "3.50"]
)
def test_an_sqlite_that_can_lose_commits_is_refused(version: str) -> None:
    with pytest.raises(ConfigurationError, match=r"WAL-reset.*apsw"):
        require_sound_sqlite(version)


@pytest.mark.parametrize("version", ["3.44.6", "3.44.7", "3.50.7", "3.50.10", "3.51.3", "3.52.0", "3.54.1", "4.0.0"])
def test_a_mended_sqlite_is_taken(version: str) -> None:
    require_sound_sqlite(version)


def test_commits_are_synced_and_pages_can_be_given_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "trail.sqlite")
    pragmas = {name: store._connections._writer.pragma(name) for name in ("journal_mode", "synchronous", "auto_vacuum")}
    store.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2}


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "trail.sqlite"
    SqliteStore(file).close()
    connection = apsw.Connection(str(file))
    connection.pragma("user_version", SCHEMA_VERSION + 1)
    connection.close()
    with pytest.raises(ConfigurationError, match=r"newer Trailkeeper.*Run the newer version"):
        SqliteStore(file)


@pytest.mark.parametrize("content", ["text", "theirs", "folder", "missing"])
def test_a_path_that_cannot_be_a_store_is_said_so(tmp_path: Path, content: str) -> None:
    file = tmp_path / "trail.sqlite"
    if content == "text":
        file.write_text("not a database, and long enough to be looked at as one" * 100)
    elif content == "theirs":
        connection = apsw.Connection(str(file))
        connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    elif content == "folder":
        file.mkdir()
    else:
        file = tmp_path / "nowhere" / "trail.sqlite"
    with pytest.raises(ConfigurationError) as error:
        SqliteStore(file)
    assert error.value.field == "TRAILKEEPER_STORE_URL"
    assert str(file) in error.value.detail


@pytest.mark.parametrize("code", [apsw.SQLITE_FULL, apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE])
def test_a_disk_without_room_is_a_full_one(code: int) -> None:
    with pytest.raises(DiskFull, match="Make room"), engine_errors(Path("trail.sqlite")):
        raise apsw.exception_for(code)


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_FSYNC])
def test_a_disk_that_fails_is_not_a_full_one(code: int) -> None:
    with pytest.raises(StoreUnavailable, match="Check the disk"), engine_errors(Path("trail.sqlite")):
        raise apsw.exception_for(code)
