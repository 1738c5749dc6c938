"""Which retention class an organization has: its own record, or the deployment's default."""

from audit.retention import Retention
from store.protocol import Records
from store.remembered import RememberedRecords

KIND = "retention"


class Retentions:
    """The retention of each organization. Answers with what it last knew while the store is away."""

    def __init__(self, records: Records | RememberedRecords, default: str) -> None:
        self.default = Retention.parse(default)
        self._remembered = records if isinstance(records, RememberedRecords) else RememberedRecords(records)

    def of(self, organization_id: str) -> Retention:
        """Give an organization's retention."""
        own = self._remembered.all(KIND).get(organization_id)
        return Retention.parse(own["retention"]) if own else self.default

    def age(self) -> float:
        """Tell how many seconds ago they were read: for callers that must not wait in `of`, and refresh elsewhere."""
        return self._remembered.age(KIND)

    def refresh(self, max_age: float) -> None:
        """Read them now unless they are younger than `max_age` seconds."""
        self._remembered.all(KIND, max_age=max_age)

    def own(self) -> dict[str, Retention]:
        """Give the retention of every organization that has one of its own."""
        return {
            organization_id: Retention.parse(body["retention"])
            for organization_id, body in self._remembered.all(KIND, max_age=0, wait=True).items()
        }

    def classes(self) -> set[str]:
        """Name every class in use: the default, and each that an organization has."""
        return {str(self.default), *map(str, self.own().values())}

    def set(self, organization_id: str, retention: Retention) -> None:
        """Give an organization a retention of its own. Raises Conflict where somebody else sets it at this moment."""
        records = self._remembered.records
        standing = records.get(KIND, organization_id)
        records.put(
            KIND, organization_id, {"retention": str(retention)}, version=standing.version if standing else None
        )
        self._remembered.forget(KIND)
