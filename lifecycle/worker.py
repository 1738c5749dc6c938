"""The lifecycle's own loop: every few minutes it sees to it that what should stand stands, and what is due goes.

Each round makes the day indices of today and tomorrow for every class in use, gives indices without a policy theirs,
deletes what is due where no ISM does, and tells what is overdue. Any number of instances may run at once.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from audit.errors import TrailkeeperError
from audit.instants import format_instant, utc_now
from lifecycle.reaper import GRACE, Gone, Reaping, every, overdue, reap
from store.names import day_index
from store.protocol import DayPartition, Store
from store.retentions import Retentions

if TYPE_CHECKING:  # on SQLite nothing here needs opensearch-py
    from lifecycle.attachment import Mended
    from lifecycle.days import DayOpener
    from lifecycle.standing import DayIndex

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """What one round did."""

    at: datetime
    ism: bool | None
    """Whether ISM is there; None where there is no question of it (SQLite), or where the engine didn't say."""
    prepared: tuple[str, ...] = ()
    """The indices of today and tomorrow, which stand now."""
    mended: "tuple[Mended, ...]" = ()
    gone: tuple[Gone, ...] = ()
    overdue: tuple[str, ...] = ()
    """Days that should have been gone an hour ago."""
    errors: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing failed and nothing is overdue: what /readyz asks."""
        return not self.errors and not self.overdue

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {
            "at": format_instant(self.at),
            "healthy": self.healthy,
            "ism": self.ism,
            "prepared": list(self.prepared),
            "mended": [{"index": one.index, "did": one.did, "policy_id": one.policy_id} for one in self.mended],
            "gone": [one.as_dict() for one in self.gone],
            "overdue": list(self.overdue),
            "errors": list(self.errors),
        }


class LifecycleWorker:
    """Runs a round every `interval` seconds in a thread of its own, or one when asked.

    `opener` is None where the store needs no day indices (SQLite). `act`: whether to delete what ISM has left standing
    past the grace period; else that is only told. `clock` gives the present, with its offset.
    """

    def __init__(
        self,
        store: Store,
        retentions: Retentions,
        opener: "DayOpener | None" = None,
        *,
        interval: float = 300.0,
        clock: Callable[[], datetime] = utc_now,
        grace: timedelta = GRACE,
        act: bool = False,
    ) -> None:
        self.last: Report | None = None
        """The latest round's report; None before the first."""
        self._store = store
        self._retentions = retentions
        self._opener = opener
        self._interval = interval
        self._clock = clock
        self._grace = grace
        self._act = act
        self._one_at_a_time = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def run_once(self) -> Report:
        """Do one round now. Never raises: what fails is logged, stands in the report and is tried again next time."""
        with self._one_at_a_time:
            self.last = _Round(
                self._store, self._retentions, self._opener, self._clock(), self._grace, self._act
            ).report()
            return self.last

    def start(self) -> None:
        """Begin: the first round at once, in a thread that does not keep the process alive."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="lifecycle", daemon=True)
            self._thread.start()

    def stop(self, timeout: float | None = 30.0) -> None:
        """End after the round that is running; wait for it `timeout` seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.run_once()
            except Exception:
                log.exception("lifecycle_round_failed")
            self._stop.wait(self._interval)


class _Round:
    """One round: its steps stand alone, so that one that fails takes no other with it."""

    def __init__(
        self,
        store: Store,
        retentions: Retentions,
        opener: "DayOpener | None",
        now: datetime,
        grace: timedelta,
        act: bool,
    ) -> None:
        self.store, self.retentions, self.opener = store, retentions, opener
        self.now, self.grace, self.act = now, grace, act
        self.errors: list[str] = []

    def report(self) -> Report:
        nothing: tuple[str, ...] = ()
        unmended: tuple[Mended, ...] = ()
        ism = self._try("ask for ISM", self._ism, None)
        prepared = self._try("prepare days", self._prepare, nothing)
        mended = self._try("mend policies", self._mend, unmended) if ism else ()
        reaping = self._try("delete what is due", lambda: self._reap(ism), Reaping())
        self.errors += reaping.failed
        late = self._try("look for what is overdue", self._overdue, nothing)
        return Report(self.now, ism, prepared, mended, reaping.gone, late, tuple(self.errors))

    def _try(self, what: str, step: Callable[[], T], otherwise: T) -> T:
        try:
            return step()
        except TrailkeeperError as error:
            log.warning("lifecycle_step_failed", step=what, error=str(error))
            self.errors.append(str(error))
        except Exception as error:
            log.exception("lifecycle_step_failed", step=what)
            self.errors.append(f"Could not {what}: {error!r}")
        return otherwise

    def _ism(self) -> bool | None:
        return self.opener.ism.available() if self.opener is not None else None

    def _prepare(self) -> tuple[str, ...]:
        if self.opener is None:
            return ()
        today = self.now.astimezone(UTC).date()
        prepared = []
        for retention in sorted(self.retentions.classes()):
            for day in (today, today + timedelta(days=1)):
                try:
                    self.opener.open(retention, day)
                except TrailkeeperError as error:
                    log.warning("day_not_prepared", retention=retention, day=day.isoformat(), error=str(error))
                    self.errors.append(str(error))
                else:
                    prepared.append(day_index(retention, day))
        return tuple(prepared)

    def _mend(self) -> "tuple[Mended, ...]":
        assert self.opener is not None
        done, failed = self.opener.mend(self.opener.standing().values())
        self.errors += failed
        return tuple(done)

    def _reap(self, ism: bool | None) -> Reaping:
        if self.opener is None:
            return reap(self.store, self.now)
        if ism is None:
            return Reaping()  # whose task it is isn't known in this round
        only = self._left_to_us(self.opener.standing()) if ism else every
        reaping = reap(self.store, self.now, only=only)
        for one in reaping.gone:
            self.opener.forget(one.retention, one.day)
        return reaping

    def _left_to_us(self, standing: "Mapping[str, DayIndex]") -> Callable[[DayPartition], bool]:
        """Tell which days ISM won't delete on time, where it is there: those without their creation date."""
        late = {day.name for day in overdue(self.store, self.now, grace=self.grace)} if self.act else set()

        def left(day: DayPartition) -> bool:
            index = standing.get(day.name)
            return day.name in late or (index is not None and not index.exact)

        return left

    def _overdue(self) -> tuple[str, ...]:
        late = overdue(self.store, self.now, grace=self.grace)
        for day in late:
            log.error("day_overdue", index=day.name, retention=day.retention, events=day.events)
        return tuple(day.name for day in late)
