"""Makes the index of a day before its first event, so that ISM counts from the end of that day.

`index.creation_date` is set to the first instant after the UTC day. The engine takes it at creation, past and future
(observed on 3.6.0; allowed since OpenSearch pull request 19931). Then `min_index_age: 90d` means 90 days after the end of
the day for every event in it, also for those that came late or were backfilled.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime

import structlog
from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from audit.errors import StoreUnavailable
from audit.instants import to_ms
from audit.retention import end_of
from lifecycle.attachment import Mended, attach, mend
from lifecycle.classes import known
from lifecycle.engine import asking
from lifecycle.ism import Ism
from lifecycle.policies import suitable
from lifecycle.standing import SETTING, DayIndex, creation_dates, standing
from store.names import day_index
from store.opensearch_errors import kind_of, words

log = structlog.get_logger(__name__)


class DayOpener:
    """Opens day indices; `opener.open` (or the opener itself) is what OpenSearchStore takes as `open_day`.

    May be called by several threads and several processes at once. `ttl`: how many seconds it takes a day that it opened
    for still standing; a day that somebody deleted is found missing, and made anew, after that.
    """

    def __init__(
        self,
        client: OpenSearch,
        ism: Ism | None = None,
        *,
        ttl: float = 600.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.ism = ism if ism is not None else Ism(client)
        self.dates_refused = False
        """Whether this engine was seen to refuse or ignore the creation date: then the reaper goes by name date."""
        self._ttl = ttl
        self._monotonic = monotonic
        self._open_until: dict[tuple[str, date], float] = {}

    def __call__(self, retention: str, day: date) -> None:
        """The same as `open`."""
        self.open(retention, day)

    def open(self, retention: str, day: date) -> None:
        """Return when the day's index stands and its policy is attached, or is known to have to be mended.

        Raises StoreUnavailable where there is no index. A policy that could not be attached is logged and left to the
        worker's next round: events must not wait for ISM.
        """
        key = (retention, day)
        if self._monotonic() < self._open_until.get(key, float("-inf")):
            return
        name = day_index(retention, day)
        created = self._made(name, day)
        self._attach(name, retention, day, created)
        self._open_until[key] = self._monotonic() + self._ttl

    def forget(self, retention: str, day: date) -> None:
        """Take a day for not open: it was deleted."""
        self._open_until.pop((retention, day), None)

    def standing(self) -> Mapping[str, DayIndex]:
        """Read every day index by name, oldest day first, and how ISM manages it. Raises StoreUnavailable."""
        return standing(self.client, self.ism)

    def mend(self, days: Iterable[DayIndex]) -> tuple[list[Mended], list[str]]:
        """Give every index its policy (lifecycle/attachment.py); return what was done, and what failed."""
        return mend(self.ism, days) if self.ism.available() else ([], [])

    def _made(self, name: str, day: date) -> datetime:
        """See to it that the index is there; return its creation date as the engine has it."""
        created = creation_dates(self.client, name).get(name)
        if created is None:
            self._create(name, day)
            # Read back: an engine may also take the setting and put the present there.
            created = creation_dates(self.client, name).get(name)
        if created is None:
            raise StoreUnavailable(f"The index {name} is gone again right after it was made.", retry_after=1)
        if created < end_of(day):
            self.dates_refused = True
            log.warning("day_index_undated", index=name, created=created.isoformat(), wanted=end_of(day).isoformat())
        return created

    def _create(self, name: str, day: date) -> None:
        with asking(f"make the index {name}"):
            try:
                try:
                    self.client.indices.create(index=name, body={"settings": {SETTING: to_ms(end_of(day))}})
                except RequestError as error:
                    # An engine before that change: "unknown setting [index.creation_date] …", or "private index setting
                    # [index.creation_date] can not be set explicitly".
                    if SETTING not in words(error):
                        raise
                    self.dates_refused = True
                    self.client.indices.create(index=name)
            except RequestError as error:
                if kind_of(error) != "resource_already_exists_exception":
                    raise  # another thread or instance being first is fine

    def _attach(self, name: str, retention: str, day: date, created: datetime) -> None:
        kept = known(retention)
        right = suitable(kept, day, created) if kept is not None else None
        if right is None:
            return
        try:
            if self.ism.available():
                attach(self.ism, name, right)
        except StoreUnavailable as error:
            log.warning("policy_not_attached", index=name, policy=right, error=str(error))
