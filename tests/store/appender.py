"""A process that appends to an SQLite store and says what was acknowledged: what the tests kill, race and starve.

    python -m tests.store.appender FILE ORGANIZATION CALLS BATCH [FILE_SIZE_LIMIT]

Prints the id of every acknowledged event. At a file size limit (a full disk) it prints `full` and what it can read, lifts
the limit and goes on.
"""

import resource
import sys

from audit.errors import DiskFull
from audit.query import Query
from store.protocol import Outcome
from store.sqlite import SqliteStore
from tests.store.trail import an_event, candidate


def main(file: str, organization: str, calls: int, batch: int, limit: int | None) -> None:
    store = SqliteStore(file)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for _ in range(calls):
        events = [candidate(an_event(organization)) for _ in range(batch)]
        try:
            results = store.append(events)
        except DiskFull as error:
            count = store.count(Query(organization_id=organization))
            print("full", count, error.status, flush=True)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            results = store.append(events)
        assert all(result.outcome is Outcome.CREATED for result in results)
        print("\n".join(event.id for event in events), flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:5]), int(sys.argv[5]) if len(sys.argv) > 5 else None)  # type: ignore[misc]
