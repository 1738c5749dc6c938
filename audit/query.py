"""The query: what to find in one organization's trail, as a value that can be compared, stored and hashed.

Every way in (URL parameters today, the query language later) ends in this value, and every engine answers it the same way:
within a field, values are alternatives; between fields, all must hold.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    model_validator,
)

from audit.event import ActionName, OrganizationId, Outcome, ResourceType
from audit.instants import ceil_ms, parse_instant


def _next_millisecond(moment: datetime) -> datetime:
    try:
        return ceil_ms(moment)
    except OverflowError:
        raise ValueError("is past the last millisecond there is") from None


Bound = Annotated[
    datetime,
    BeforeValidator(lambda value: value if isinstance(value, datetime) else parse_instant(value)),
    AfterValidator(_next_millisecond),
]
Order = Literal["desc", "asc"]
Word = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class Query(BaseModel):
    """Filters over one organization's events. An empty tuple or None means: any.

    `since` is inclusive and `until` exclusive (half-open); a bound between two milliseconds counts as the later one.
    `actors` match an actor's id, email or name, exactly. `visible_from` is set by the service, never by the caller: what is
    older has passed the organization's retention.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization_id: OrganizationId
    actions: tuple[ActionName, ...] = ()
    resource_types: tuple[ResourceType, ...] = ()
    resource_ids: tuple[Word, ...] = ()
    actors: tuple[Word, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    since: Bound | None = None
    until: Bound | None = None
    order: Order = "desc"
    visible_from: Bound | None = None

    @model_validator(mode="after")
    def _range_runs_forward(self) -> Self:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("from is later than to")
        return self

    @property
    def earliest(self) -> datetime | None:
        """The later of `since` and `visible_from`: where the search really begins."""
        bounds = [bound for bound in (self.since, self.visible_from) if bound is not None]
        return max(bounds, default=None)
