"""Which retention class an organization has: its own record, or the deployment's default.

Kept for a few seconds, because every event and every search asks; a change is seen everywhere within `ttl`.
"""

import contextlib
import threading
import time
from collections.abc import Callable

from audit.errors import StoreUnavailable
from audit.retention import Retention
from store.protocol import Records

KIND = "retention"


class Retentions:
    """The retention of each organization. Answers with what it last knew while the store is away."""

    def __init__(
        self, records: Records, default: str, ttl: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.default = Retention.parse(default)
        self._records = records
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Retention] = {}
        self._until = float("-inf")

    def of(self, organization_id: str) -> Retention:
        """Give an organization's retention."""
        if self._clock() >= self._until:
            self._reload()
        return self._known.get(organization_id, self.default)

    def classes(self) -> set[str]:
        """Name every class in use: the default, and each that an organization has."""
        self._reload()
        return {str(self.default), *(str(retention) for retention in self._known.values())}

    def set(self, organization_id: str, retention: Retention) -> None:
        """Give an organization a retention of its own, for events from now on."""
        standing = self._records.get(KIND, organization_id)
        self._records.put(
            KIND,
            organization_id,
            {"retention": str(retention)},
            version=standing.version if standing else None,
        )
        self._until = float("-inf")

    def _reload(self) -> None:
        with self._lock:
            # What was last known still holds while the engine is away: ingest must go on.
            with contextlib.suppress(StoreUnavailable):
                self._known = {
                    record.id: Retention.parse(record.body["retention"]) for record in self._records.list(KIND)
                }
            self._until = self._clock() + self._ttl
