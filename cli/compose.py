"""From settings to a running trail: the one place that puts the parts together.

    with Trail.open(settings, ingest=True) as trail:
        app = trail.application(ingest=True, search=True)

Embedded, the store is one SQLite file and also the log that ingest commits to. With OpenSearch, ingest commits to a spool
first; a command that only passes by (an import, a search) gets a spool of its own that is gone when it ends.
"""

import getpass
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI

import ingest.app
import search_api.app
from audit.catalog import Catalog, load_catalog
from audit.errors import Conflict, StoreUnavailable, TrailkeeperError
from audit.event import Actor, ActorType, Event, Resource
from audit.ids import new_id
from audit.instants import utc_now
from audit.settings import Settings
from cli import health
from ingest.pipeline import SOURCE, Pipeline
from ingest.spool import Spool
from ingest.spool_file import damaged_files
from lifecycle.worker import LifecycleWorker
from search_api.service import SearchApi
from store.connect import SqliteUrl, connect, parse_store_url
from store.keys import Keys
from store.protocol import Log, Store
from store.remembered import RememberedRecords
from store.retentions import Retentions
from store.sqlite import SqliteStore

if TYPE_CHECKING:  # embedded, nothing needs opensearch-py
    from opensearchpy import OpenSearch

    from lifecycle.days import DayOpener

_log = structlog.get_logger("trailkeeper")
OPERATORS = "trailkeeper"
"""The organization whose trail holds what concerns all of them, like a key for every organization."""


@dataclass(frozen=True)
class Engine:
    """A store, and what only OpenSearch has."""

    store: Store
    place: str
    """Where it is, for people; without passwords."""
    client: "OpenSearch | None" = None
    opener: "DayOpener | None" = None


@dataclass(frozen=True)
class Trail:
    """All parts of a deployment, over one store. Make it with `open`."""

    settings: Settings
    engine: Engine
    catalog: Catalog
    keys: Keys
    retentions: Retentions
    lifecycle: LifecycleWorker
    pipeline: Pipeline | None

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, *, ingest: bool = False, spool: Path | None = None) -> Iterator["Trail"]:
        """Open the store and start what was asked for; on leaving, drain and close.

        `ingest`: whether events are taken (a search records that it was made, so it takes some too). `spool`: where,
        with OpenSearch; None for a temporary one.
        """
        with ExitStack() as stack:
            engine = open_engine(settings)
            stack.callback(engine.store.close)
            file = spool.with_name(spool.name + ".records.json") if spool and engine.client else None
            records = RememberedRecords(engine.store.records, file=file)
            retentions = Retentions(records, settings.retention)
            catalog = load_catalog(settings.catalog_file, settings.catalog)
            pipeline = None
            if ingest:
                log = _open_log(settings, engine, spool, stack)
                # The relay meets an engine that is away by waiting; so does the start of a service.
                if spool is None or engine.client is None:
                    engine.store.prepare()
                pipeline = Pipeline(
                    settings=settings, catalog=catalog, retentions=retentions, store=engine.store, log=log
                )
                pipeline.start()
                stack.callback(pipeline.stop)
            else:
                engine.store.prepare()
            lifecycle = LifecycleWorker(
                engine.store, retentions, engine.opener, interval=settings.lifecycle_interval_seconds
            )
            stack.callback(lifecycle.stop)
            trail = cls(settings, engine, catalog, Keys(records), retentions, lifecycle, pipeline)
            trail._report_salvage()
            yield trail

    @property
    def store(self) -> Store:
        """The store."""
        return self.engine.store

    @property
    def ingest(self) -> Pipeline:
        """The way in; the trail was opened with it."""
        assert self.pipeline is not None
        return self.pipeline

    def application(self, *, ingest: bool = False, search: bool = False, lifecycle: bool = False) -> FastAPI:
        """Make the HTTP application of these services, with one OpenAPI document and one /readyz."""
        app = FastAPI(
            title="Trailkeeper",
            summary="The audit trail: put events on it, find them, know that they go when they should.",
            redirect_slashes=False,
        )
        checks: dict[str, health.Check] = {"store": self._store_problem}
        if search:
            search_api.app.add_routes(app, self._search_api())
        if ingest:
            _ingest_routes(app, self)
            health.add_metrics(app, self.ingest.metrics.registry)
            checks["relay"] = self._relay_problem
            if self.ingest.spool is not None:
                checks["spool"] = self._spool_problem
        if lifecycle:
            checks["lifecycle"] = self._lifecycle_problem
        # Ingest goes on without the store, which is what the spool is for; reading can't.
        without_store = ingest and self.ingest.spool is not None
        health.add_health(app, checks, vital=frozenset() if without_store else frozenset({"store"}))
        return app

    def record_operation(
        self, action: str, organization_id: str | None, resource_id: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """Put what an operator did on the organization's trail, or on that of the operators."""
        self.ingest.record(
            Event(
                id=new_id(),
                occurred_at=utc_now(),
                organization_id=organization_id or OPERATORS,
                actor=Actor(type=ActorType.SYSTEM, id=f"operator:{operator()}", name=operator()),
                action=action,
                resource=Resource(type=self.catalog.resource_type(action), id=resource_id),
                details=dict(details) if details else None,
                source=SOURCE,
            )
        )

    def _search_api(self) -> SearchApi:
        return search_api.app.compose(
            store=self.store,
            retentions=self.retentions,
            keys=self.keys,
            catalog=self.catalog,
            settings=self.settings,
            record=self.ingest.record,
        )

    def _store_problem(self) -> str | None:
        try:
            self.store.check()
        except StoreUnavailable as error:
            _log.warning("not_ready", error=str(error))
            return "The event store doesn't answer."
        return None

    def _relay_problem(self) -> str | None:
        if self.ingest.problem() is None:
            return None
        assert self.ingest.spool is not None
        return f"{self.ingest.spool.depth:,} events wait for the store; none is lost."

    def _spool_problem(self) -> str | None:
        spool = self.ingest.spool
        if spool is None or not (kept := damaged_files(spool.path)):
            return None
        return f"The spool was damaged and salvaged; remove {kept[0].name} when it has been looked at."

    def _report_salvage(self) -> None:
        """Put on the operators' trail what was rescued from a damaged spool, and which numbers nothing was found of."""
        spool = self.pipeline.spool if self.pipeline else None
        for id, text in spool.unreported() if spool else ():
            details = json.loads(text)
            event = Event(
                id=id,
                occurred_at=utc_now(),
                organization_id=OPERATORS,
                actor=Actor(type=ActorType.SYSTEM, name="Trailkeeper"),
                action="audit_trail.salvage",
                resource=Resource(type="audit_trail", id=details["log"]),
                details=details,
                source=SOURCE,
            )
            try:
                self.ingest.record(event)
            except Conflict:
                pass  # it is there, from a start that ended right behind it
            except TrailkeeperError as error:
                _log.error("salvage_not_reported", error=str(error))  # the next start tries again
                continue
            assert spool is not None
            spool.reported(id)

    def _lifecycle_problem(self) -> str | None:
        report = self.lifecycle.last
        if report is None or report.healthy:
            return None
        if report.overdue:
            return f"{len(report.overdue)} days are overdue for deletion."
        return "The latest round failed in part."


def open_engine(settings: Settings) -> Engine:
    """Open the store that TRAILKEEPER_STORE_URL names, without asking it for anything yet."""
    url = parse_store_url(settings.store_url)
    if isinstance(url, SqliteUrl):
        return Engine(SqliteStore(url.path, log_id=settings.log_id), str(url.path))
    from lifecycle.days import DayOpener
    from store.opensearch import OpenSearchStore

    client = connect(settings)
    opener = DayOpener(client)
    templates = _Templates(client, settings.index_replicas)

    def open_day(retention: str, day: date) -> None:
        templates.ensure()  # a day index that is made before its template would take any field, as any type
        opener.open(retention, day)

    store = OpenSearchStore(client, open_day=open_day, forget_day=opener.forget)
    place = ", ".join(f"{host}:{port or 9200}" for host, port in url.hosts)
    return Engine(store, f"OpenSearch at {place}", client, opener)


class _Templates:
    """Sees to it that the templates stand before this process makes its first day index."""

    def __init__(self, client: "OpenSearch", replicas: str) -> None:
        self._client = client
        self._replicas = replicas
        self._done = False

    def ensure(self) -> None:
        if not self._done:
            from index_templates import loader

            loader.prepare(self._client, self._replicas)
            self._done = True


def _open_log(settings: Settings, engine: Engine, spool: Path | None, stack: ExitStack) -> Log:
    if isinstance(engine.store, SqliteStore):
        return engine.store
    if spool is None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="trailkeeper-"))
        return Spool(Path(folder) / "spool.sqlite")
    return Spool(spool, log_id=settings.log_id, dedupe_window=settings.dedupe_window, high_water=settings.spool_bytes)


def _ingest_routes(app: FastAPI, trail: Trail) -> None:
    ingest.app.add_routes(app, trail.ingest, trail.keys, trail.settings)


def operator() -> str:
    """Name who runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
