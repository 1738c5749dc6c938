"""`.demo/`: the demo's files, one demo at a time, and `session.json` for scripts."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from examples.demo.processes import DemoError

STORE = "trail.sqlite"
JOURNAL = "journal"
SESSION = "session.json"


@dataclass(frozen=True)
class Session:
    """What a script needs. Exactly these names are promised."""

    url: str
    ingest_url: str
    organization_id: str
    ingest_key: str
    tokens: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write it so that nobody else may read it, and nobody reads half of it."""
        draft = folder / f"{SESSION}.draft"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file, indent=2)
            file.write("\n")
        draft.replace(folder / SESSION)


@contextmanager
def demo_folder(folder: Path, *, keep: bool) -> Iterator[Path]:
    """Make the folder, for this demo alone; without `keep` take away what the last one left, and nothing else.

    Raises DemoError where a demo is running in it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError(f"A demo is running in {folder}. End it first, or pass another --folder.") from None
        (folder / SESSION).unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(folder / JOURNAL, ignore_errors=True)
            for pattern in (f"{STORE}*", "*.log"):
                for path in folder.glob(pattern):
                    path.unlink()
        yield folder
