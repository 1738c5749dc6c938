"""A process whose disk stops syncing: SQLite's own file layer (a VFS), with an fsync that fails when it is told to.

    python -m tests.store.failing_sync FILE

Prints what an append says before, at and after the failure, and what can still be read.
"""

import sys

import apsw

from audit.errors import StoreUnavailable
from audit.query import Query
from store.sqlite import SqliteStore
from tests.store.trail import an_event, candidate

usual = apsw.vfs_names()[0]
failing = False


class File(apsw.VFSFile):
    """A file of the usual layer, whose sync fails while `failing`."""

    def __init__(self, name: object, flags: list[int]) -> None:
        super().__init__(usual, name, flags)  # type: ignore[arg-type]

    def xSync(self, flags: int) -> None:  # noqa: N802 SQLite's name
        if failing:
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


class Layer(apsw.VFS):
    """The usual layer, with files of ours."""

    def __init__(self) -> None:
        super().__init__("failing", usual, makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> File:  # noqa: N802 SQLite's name
        return File(name, flags)


def main(file: str) -> None:
    global failing
    layer = Layer()
    store = SqliteStore(file)
    for fails in (False, True, False):
        failing = fails
        try:
            store.append([candidate(an_event("acme"))])
            print("appended")
        except StoreUnavailable as error:
            print(error)
    try:
        store.check()
    except StoreUnavailable as error:
        print("check:", error)
    print("readable", store.count(Query(organization_id="acme")) >= 1)
    store.close()
    del layer


if __name__ == "__main__":
    main(sys.argv[1])
