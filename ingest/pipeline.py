"""The way in, put together: what a service starts, feeds and stops.

Embedded, the store is the log: one commit, and the event is durable and searchable. With OpenSearch, the spool is the log
and a relay moves on what it holds.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson
import structlog

from audit.access import Writer
from audit.catalog import Catalog
from audit.errors import Conflict, Invalid, TrailkeeperError, Unavailable
from audit.event import Actor, ActorType, Event, Resource
from audit.ids import new_id
from audit.instants import utc_now
from audit.settings import Settings
from ingest.acks import Acks, Wait
from ingest.commit import GroupCommit
from ingest.metrics import Metrics
from ingest.relay import Buried, Relay
from ingest.spool import Spool
from ingest.validate import Validator
from store.protocol import Appended, Candidate, Log, Outcome, Store, Written
from store.retentions import Retentions

SOURCE = "trailkeeper"
_BURIED = "dead_letter.create"
_FRESH_SECONDS = 2.0
_log = structlog.get_logger("trailkeeper.ingest")


class Accepted(NamedTuple):
    """One event that is safe."""

    id: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event that was not taken, and why."""

    id: str | None
    error: TrailkeeperError


Taken = Accepted | Rejected


class Pipeline:
    """Ingest over a store. `log` is where events are committed: the store itself, or a spool before it."""

    def __init__(
        self,
        *,
        settings: Settings,
        catalog: Catalog,
        retentions: Retentions,
        store: Store,
        log: Log,
        clock: Callable[[], datetime] = utc_now,
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._settings = settings
        self.retentions = retentions
        self.validator = Validator(
            catalog, retentions, settings.limits, timedelta(seconds=settings.clock_skew_seconds), clock
        )
        self.metrics = Metrics()
        on_fatal = on_fatal or _end_process
        self._commit = GroupCommit(log, on_fatal=on_fatal, metrics=self.metrics)
        self._acks = Acks()
        self.spool = log if isinstance(log, Spool) else None
        self.relay = (
            Relay(
                self.spool,
                store,
                self._acks,
                max_bytes=settings.relay_bytes,
                concurrency=settings.relay_concurrency,
                on_buried=self._report_buried,
                on_fatal=on_fatal,
                metrics=self.metrics,
            )
            if self.spool
            else None
        )

    def start(self) -> None:
        """Start committing and relaying."""
        self._commit.start()
        if self.spool:
            self.metrics.watch(self.spool)
        if self.relay:
            self.relay.start()

    def stop(self, drain_seconds: float = 10.0) -> None:
        """Commit what was taken, relay what can be relayed in time, and end."""
        self._commit.stop()
        if self.relay:
            self.relay.stop(drain_seconds)
        if self.spool:
            self.spool.close()

    def problem(self) -> str | None:
        """Say what keeps events from reaching the store, if anything does."""
        if self.relay and self.spool and self.relay.problem:
            return f"{self.spool.depth:,} events wait for the store: {self.relay.problem}"
        return None

    def record(self, event: Event) -> None:
        """Commit one event of Trailkeeper's own; it is durable on return. Blocks; not for an event loop's thread."""
        (result,) = self._commit.append([self.validator.own(event)])
        if result.outcome is Outcome.CONFLICT:
            raise Conflict(f"The id {event.id} is taken.")

    async def take(self, lines: Sequence[bytes], writer: Writer, ack: str | None = None) -> Sequence[Taken]:
        """Validate and commit the events of one request; return what became of each, in order.

        `ack` None returns after the commit, `indexed` and `searchable` after the engine's word. Raises SpoolFull,
        DiskFull or Unavailable for all of them, with nothing acknowledged.
        """
        if self.retentions.age() >= _FRESH_SECONDS:
            # A thread may wait for the store; below, on the event loop, nothing may, so nothing there has to ask.
            await asyncio.to_thread(self.retentions.refresh, _FRESH_SECONDS)
        reception = self.validator.reception(writer)
        taken: list[Taken | None] = []
        candidates: list[Candidate] = []
        for number, line in enumerate(lines):
            if number % 500 == 499:
                await asyncio.sleep(0)  # let the loop's other requests have a turn
            try:
                candidates.append(reception.check(line))
                taken.append(None)
            except TrailkeeperError as error:
                taken.append(Rejected(_id_of(line), error))
        if candidates:
            accepted = iter(await self._commit_and_wait(candidates, ack))
            taken = [next(accepted) if item is None else item for item in taken]
        return self._counted([item for item in taken if item is not None])

    def _counted(self, taken: Sequence[Taken]) -> Sequence[Taken]:
        results: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for item in taken:
            if isinstance(item, Rejected):
                reasons[item.error.slug] += 1
            else:
                results["duplicate" if item.duplicate else "accepted"] += 1
        for result, count in results.items():
            self.metrics.events.labels(result).inc(count)
        for reason, count in reasons.items():
            self.metrics.events.labels("rejected").inc(count)
            self.metrics.rejected.labels(reason).inc(count)
        return taken

    async def _commit_and_wait(self, candidates: Sequence[Candidate], ack: str | None) -> Sequence[Taken]:
        if ack is None or self.spool is None:
            return await self._committed(candidates, {})
        ids = {candidate.id for candidate in candidates}
        wait = Wait(ids, ack == "searchable", asyncio.get_running_loop())
        self._acks.add(wait, ids)
        try:
            appended = await self._commit.commit(candidates)
            on_its_way = await asyncio.to_thread(_on_its_way, self.spool, candidates, appended)
            for id in ids - on_its_way:
                wait.drop(id)
            try:
                await wait.all(self._settings.ack_timeout_seconds)
            except TimeoutError:
                raise Unavailable(
                    "The events are committed and safe; the store hasn't taken them yet.",
                    limit=self._settings.ack_timeout_seconds,
                    fix="Send them again with the same ids to ask once more: they are stored once.",
                    retry_after=5,
                ) from None
            return await self._answers(candidates, [result.outcome for result in appended], wait.outcomes)
        finally:
            self._acks.remove(wait, ids)

    async def _committed(self, candidates: Sequence[Candidate], outcomes: Mapping[str, Written]) -> Sequence[Taken]:
        appended = await self._commit.commit(candidates)
        return await self._answers(candidates, [result.outcome for result in appended], outcomes)

    async def _answers(
        self, candidates: Sequence[Candidate], commits: Sequence[Outcome], outcomes: Mapping[str, Written]
    ) -> Sequence[Taken]:
        answers: list[Taken] = []
        if Outcome.CONFLICT in commits:
            conflicts = [
                (candidate.id, candidate.organization_id)
                for candidate, committed in zip(candidates, commits, strict=True)
                if committed is Outcome.CONFLICT
            ]
            await asyncio.to_thread(self._report_conflicts, conflicts)
        for candidate, committed in zip(candidates, commits, strict=True):
            said = outcomes.get(candidate.id)
            final = said.outcome if said and committed is Outcome.CREATED else committed
            if final is Outcome.CREATED:
                answers.append(Accepted(candidate.id))
            elif final is Outcome.DUPLICATE:
                answers.append(Accepted(candidate.id, duplicate=True))
            elif final is Outcome.CONFLICT:
                answers.append(Rejected(candidate.id, _conflict()))
            else:
                error = said.error if said else None
                answers.append(Rejected(candidate.id, _refused(error)))
        return answers

    def _report_conflicts(self, conflicts: Sequence[tuple[str, str]]) -> None:
        self._report([self._about(id, organization_id, Outcome.CONFLICT) for id, organization_id in conflicts])

    def _report_buried(self, buried: Sequence[Buried]) -> None:
        self._report(
            [
                self._about(document.id, document.organization_id, outcome, error)
                for document, outcome, error in buried
                # A report that is refused itself is a dead letter like any other, and the log says so: no report of it.
                if orjson.loads(document.body)["action"] != _BURIED
            ]
        )

    def _report(self, events: Sequence[Event]) -> None:
        """Put on the trail what happened to events that were not taken. Losing a report loses no event."""
        if not events:
            return
        try:
            self._commit.append([self.validator.own(event) for event in events])
        except TrailkeeperError as error:
            _log.error("not_reported", ids=[event.resource.id for event in events], error=str(error))

    def _about(self, id: str, organization_id: str, outcome: Outcome, error: str | None = None) -> Event:
        """Tell that other content came under an id that stands, or that the store refused an event."""
        conflict = outcome is Outcome.CONFLICT
        return Event(
            id=new_id(),
            occurred_at=self.validator.now(),
            organization_id=organization_id,
            actor=Actor(type=ActorType.SYSTEM, name="Trailkeeper"),
            action="audit_log.conflict" if conflict else _BURIED,
            resource=Resource(type="audit_log" if conflict else "dead_letter", id=id),
            details={"event_id": id, **({"error": error[:1000]} if error else {})},
            source=SOURCE,
        )


def _on_its_way(spool: Spool, candidates: Sequence[Candidate], appended: Sequence[Appended]) -> set[str]:
    """Name those whose fate the relay will still announce. Asks the spool's file; not for an event loop's thread."""
    return {
        candidate.id
        for candidate, result in zip(candidates, appended, strict=True)
        if result.outcome is Outcome.CREATED
        or (result.outcome is Outcome.DUPLICATE and result.number is not None and spool.holds(result.number))
    }


def _conflict() -> TrailkeeperError:
    return Conflict(
        "Another event with this id is stored already; it still stands.",
        field="id",
        fix="Make one id an event. Send an event again unchanged, its occurred_at included, and it is recognised.",
    )


def _refused(error: str | None) -> TrailkeeperError:
    return Invalid(
        f"The store refused the event, and it lies among the dead letters: {error}.",
        fix="Tell the operator: `trailkeeper deadletters list` shows it, nothing is lost.",
    )


def _id_of(line: bytes) -> str | None:
    """Find the id of an event that was refused, so that its sender can tell which one it was."""
    start = line.find(b'"id":"', 0, 200)
    text = line[start + 6 : start + 42] if 0 <= start <= 2 else b""
    return text.decode() if len(text) == 36 and text.isascii() and b'"' not in text and b"\\" not in text else None


def _end_process(error: BaseException) -> None:
    """End at once: after a failed fsync nobody knows what the disk holds, and a fresh start finds out."""
    _log.critical("ending", error=repr(error), next="the next start recovers what was committed")
    os._exit(70)
