"""What stands, held against what should: the data behind `trailkeeper status`.

Plain values; the command line makes the table. Reading only: nothing is changed here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from audit.instants import format_instant
from audit.retention import end_of
from lifecycle.classes import known
from lifecycle.reaper import GRACE, due_at
from store.names import day_index
from store.protocol import DayPartition, Store
from store.retentions import Retentions

if TYPE_CHECKING:  # on SQLite nothing here needs opensearch-py
    from lifecycle.days import DayOpener
    from lifecycle.standing import DayIndex

State = Literal["kept", "due", "overdue"]
Attachment = Literal["attached", "missing", "wrong", "foreign", "outdated", "failed", "not needed", "no ISM"]
DRIFTED: frozenset[Attachment] = frozenset({"missing", "wrong", "foreign", "outdated", "failed"})


@dataclass(frozen=True, slots=True)
class DayStatus:
    """One day of one class."""

    name: str
    retention: str
    day: date
    events: int
    bytes: int | None
    age_days: int
    """Whole days since the end of the day; negative until it has ended."""
    due: datetime | None
    """When it may be deleted; None for never."""
    state: State
    says: str
    """The same for a reader: `kept until 2027-02-22`, `kept for good`, `due`, `overdue by 3 h`."""
    policy: str | None
    """The policy that is attached."""
    attachment: Attachment
    """`no ISM`: on SQLite, and where OpenSearch is without the plugin; the reaper deletes. `not needed`: no policy may
    be attached, because the class never ends or the creation date would make any policy early."""
    created_right: bool | None
    """Whether the index has its creation date; None where there is no index."""
    drift: tuple[str, ...] = ()
    """What is not as it should be, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "name": self.name,
            "retention": self.retention,
            "day": self.day.isoformat(),
            "events": self.events,
            "bytes": self.bytes,
            "age_days": self.age_days,
            "due": format_instant(self.due) if self.due is not None else None,
            "state": self.state,
            "says": self.says,
            "policy": self.policy,
            "attachment": self.attachment,
            "created_right": self.created_right,
            "drift": list(self.drift),
        }


@dataclass(frozen=True, slots=True)
class Status:
    """Everything, at one instant."""

    at: datetime
    ism: bool | None
    """Whether ISM is there; None where there is no question of it (SQLite)."""
    days: tuple[DayStatus, ...]
    drift: tuple[str, ...]
    """All that is not as it should be; exit code 1 where there is any."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "at": format_instant(self.at),
            "ism": self.ism,
            "days": [day.as_dict() for day in self.days],
            "drift": list(self.drift),
        }


def status(
    store: Store,
    retentions: Retentions,
    opener: "DayOpener | None",
    now: datetime,
    *,
    grace: timedelta = GRACE,
) -> Status:
    """Look at everything once. `opener` is None where the store has no day indices. Raises StoreUnavailable."""
    if opener is None:
        days = tuple(_day(one, None, "no ISM", now, grace) for one in store.days())
        return Status(now, None, days, _of(days))
    ism = opener.ism.available()
    standing = opener.standing()
    behind = _behind(opener, standing) if ism else set()
    held = {one.name: one for one in store.days()}
    for name, found in standing.items():  # a prepared day may be no store's to tell of yet
        held.setdefault(name, DayPartition(found.retention, found.day, 0, None, name))
    days = tuple(
        _day(one, (index := standing.get(one.name)), _attachment(index, behind) if ism else "no ISM", now, grace)
        for one in sorted(held.values(), key=lambda one: (one.day, one.name))
    )
    return Status(now, ism, days, (*_policies(opener, retentions), *_prepared(retentions, held, now), *_of(days)))


def _day(
    day: DayPartition, index: "DayIndex | None", attachment: Attachment, now: datetime, grace: timedelta
) -> DayStatus:
    until = due_at(day)
    state, says = _state(until, now, grace)
    created_right = index.dated if index is not None else None
    return DayStatus(
        name=day.name,
        retention=day.retention,
        day=day.day,
        events=day.events,
        bytes=day.bytes,
        age_days=(now - end_of(day.day)) // timedelta(days=1),
        due=until,
        state=state,
        says=says,
        policy=index.policy_id if index is not None else None,
        attachment=attachment,
        created_right=created_right,
        drift=tuple(_drift(day, index, attachment, state, says)),
    )


def _state(until: datetime | None, now: datetime, grace: timedelta) -> tuple[State, str]:
    if until is None:
        return "kept", "kept for good"
    late = now - until
    if late < timedelta(0):
        return "kept", f"kept until {until:%Y-%m-%d}"
    if late < grace:
        return "due", "due"
    hours = late // timedelta(hours=1)
    return "overdue", f"overdue by {hours} h" if hours < 48 else f"overdue by {hours // 24} days"


def _attachment(index: "DayIndex | None", behind: set[str]) -> Attachment:
    if index is None:
        return "missing"
    attached, right, managed = index.policy_id, index.suitable, index.managed
    if attached is None:
        return "missing" if right is not None else "not needed"
    if attached != right:
        return "wrong" if attached.startswith("trailkeeper-") else "foreign"
    if managed is not None and (managed.failed or managed.enabled is False):
        return "failed"
    return "outdated" if index.name in behind else "attached"


def _drift(
    day: DayPartition, index: "DayIndex | None", attachment: Attachment, state: State, says: str
) -> Iterable[str]:
    if known(day.retention) is None:
        yield f"{day.name}: the class {day.retention!r} is no length of time; it is never deleted."
    if index is not None and not index.dated:
        yield (
            f"{day.name}: created {format_instant(index.created)} and not at the end of its day; "
            "the reaper deletes it by the date in its name."
        )
    if attachment in DRIFTED:
        yield f"{day.name}: {_explained(attachment, index)}"
    if state == "overdue":
        yield f"{day.name}: {says}."


def _explained(attachment: Attachment, index: "DayIndex | None") -> str:
    attached = index.policy_id if index is not None else None
    right = index.suitable if index is not None else None
    if attachment == "missing":
        return f"no policy is attached; it should be {right}. The worker's next round attaches it."
    if attachment == "wrong":
        return f"the policy {attached} is attached and should be {right or 'none'}. The worker's next round mends it."
    if attachment == "foreign":
        return f"the policy {attached} is attached, which is not Trailkeeper's; it should be {right or 'none'}."
    if attachment == "outdated":
        return f"it follows an older version of the policy {attached}. The worker's next round tells it so."
    message = index.managed.message if index is not None and index.managed is not None else None
    return f"ISM failed on it ({message or 'its job is disabled'}); POST _plugins/_ism/retry/<index> tries again."


def _behind(opener: "DayOpener", standing: "Mapping[str, DayIndex]") -> set[str]:
    """Name the indices that follow an older version of their policy."""
    from lifecycle.policies.loader import outdated

    managed = [one.managed for one in standing.values() if one.managed is not None]
    policies = {one.policy_id for one in managed if one.policy_id is not None}
    found = (opener.ism.policy(policy_id) for policy_id in sorted(policies))
    return {name for policy in found if policy is not None for name in outdated(policy, managed)}


def _policies(opener: "DayOpener", retentions: Retentions) -> Iterable[str]:
    from lifecycle.policies.loader import plan

    for change in plan(opener.ism, retentions.classes()):
        if change.action != "unchanged":
            wrong = "is missing" if change.action == "create" else "is not as it should be"
            yield f"The policy {change.name} {wrong}; `trailkeeper setup` mends it."


def _prepared(retentions: Retentions, held: Mapping[str, DayPartition], now: datetime) -> Iterable[str]:
    today = now.astimezone(UTC).date()
    for retention in sorted(retentions.classes()):
        for word, day in (("today", today), ("tomorrow", today + timedelta(days=1))):
            if (name := day_index(retention, day)) not in held:
                yield f"There is no index {name} for {word} yet; the worker's next round makes it."


def _of(days: Iterable[DayStatus]) -> tuple[str, ...]:
    return tuple(sentence for day in days for sentence in day.drift)
