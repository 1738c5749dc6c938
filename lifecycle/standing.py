"""What stands in the engine right now: each day index, when it says it was created, and how ISM manages it.

Read in two requests however many days there are; worker and status judge by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from opensearchpy import OpenSearch

from audit.instants import from_ms
from audit.retention import end_of
from lifecycle.classes import known
from lifecycle.engine import asking
from lifecycle.ism import Ism, Managed
from lifecycle.policies import policy_id, suitable
from store.names import PATTERN, parse_day_index

SETTING = "index.creation_date"


@dataclass(frozen=True, slots=True)
class DayIndex:
    """One day index as it stands."""

    name: str
    retention: str
    day: date
    created: datetime
    """What the engine takes for its creation date, which ISM counts from."""
    managed: Managed | None
    """What ISM says of it; None where there is no ISM, or where it doesn't know the index yet."""

    @property
    def dated(self) -> bool:
        """Whether its creation date is what it should be: the end of its day."""
        return self.created == end_of(self.day)

    @property
    def exact(self) -> bool:
        """Whether its policy deletes it on time; else the reaper has to, by the date in its name."""
        retention = known(self.retention)
        return retention is not None and self.dated and self.suitable == policy_id(retention)

    @property
    def policy_id(self) -> str | None:
        """The policy that is attached."""
        return self.managed.policy_id if self.managed is not None else None

    @property
    def suitable(self) -> str | None:
        """The policy that should be attached."""
        retention = known(self.retention)
        return suitable(retention, self.day, self.created) if retention is not None else None


def creation_dates(client: OpenSearch, indices: str) -> dict[str, datetime]:
    """Read when the indices that match a name or a pattern say they were created; empty where none matches."""
    with asking(f"read the creation date of {indices}"):
        answer = client.indices.get_settings(
            index=indices,
            name=SETTING,
            params={
                "flat_settings": "true",
                "ignore_unavailable": "true",
                "allow_no_indices": "true",
                "expand_wildcards": "all",
            },
        )
    return {name: from_ms(int(told["settings"][SETTING])) for name, told in answer.items()}


def standing(client: OpenSearch, ism: Ism) -> Mapping[str, DayIndex]:
    """Read every day index by name, oldest day first. Raises StoreUnavailable."""
    created = creation_dates(client, PATTERN)
    managed = ism.explain(PATTERN) if created and ism.available() else {}
    found = [
        DayIndex(name, *place, when, managed.get(name))
        for name, when in created.items()
        if (place := parse_day_index(name)) is not None
    ]
    return {one.name: one for one in sorted(found, key=lambda one: (one.day, one.name))}
