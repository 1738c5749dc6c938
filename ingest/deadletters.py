"""Dead letters: acknowledged events that the engine won't take, kept with its own words until somebody decides.

They lie in the spool's file, as durable as what waits there, and can be worked on while the service runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from audit.errors import ConfigurationError, NotFound
from ingest.spool_file import open_file
from store.protocol import Document, Outcome, Store, Written

_COLUMNS = "id, organization_id, occurred_at, retention, body, error, buried_at"


class DeadLetter(NamedTuple):
    """One event, why the engine refused it, and since when it lies here (RFC 3339)."""

    document: Document
    error: str
    buried_at: str


class DeadLetters:
    """The dead letters of one spool."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    @classmethod
    @contextmanager
    def open(cls, spool: Path) -> Iterator["DeadLetters"]:
        """Open those of a spool, whether its service runs or not. Raises ConfigurationError where there is no spool."""
        if not spool.exists():
            raise ConfigurationError(
                f"There is no spool at {spool}.",
                field="TRAILKEEPER_SPOOL_PATH",
                fix="Name the spool of an ingest instance. Embedded there is none, and there are no dead letters.",
            )
        db = open_file(spool)
        try:
            yield cls(db)
        finally:
            db.close()

    def all(self) -> Sequence[DeadLetter]:
        """List them, oldest burial first."""
        return list(self._select("ORDER BY buried_at, id", ()))

    def get(self, id: str) -> DeadLetter:
        """Return one. Raises NotFound."""
        for letter in self._select("WHERE id = ?", (id,)):
            return letter
        raise NotFound(f"There is no dead letter {id!r}.", fix="List them with `trailkeeper deadletters list`.")

    def replay(self, store: Store, letters: Sequence[DeadLetter]) -> Sequence[Written]:
        """Write letters to the store once more; those it takes leave, the others stay with its latest words."""
        results = store.write([letter.document for letter in letters])
        with self._db:
            for letter, written in zip(letters, results, strict=True):
                if written.outcome in (Outcome.CREATED, Outcome.DUPLICATE):
                    self._db.execute("DELETE FROM dead WHERE id = ?", (letter.document.id,))
                elif written.error is not None:
                    self._db.execute("UPDATE dead SET error = ? WHERE id = ?", (written.error, letter.document.id))
        return results

    def discard(self, letters: Sequence[DeadLetter]) -> None:
        """Let letters go for good."""
        with self._db:
            self._db.executemany("DELETE FROM dead WHERE id = ?", [(letter.document.id,) for letter in letters])

    def _select(self, rest: str, values: tuple[str, ...]) -> Iterator[DeadLetter]:
        statement = f"SELECT {_COLUMNS} FROM dead {rest}"  # noqa: S608 both parts are this module's own
        for id, organization_id, occurred_at, retention, body, error, buried_at in self._db.execute(statement, values):
            yield DeadLetter(Document(id, organization_id, occurred_at, retention, body), error, buried_at)
