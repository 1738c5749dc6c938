"""`trailkeeper setup`, `status` and `retention`: what stands, what should, and how long events stay."""

from datetime import timedelta
from typing import Annotated

import typer

from audit.changes import Change
from audit.errors import Conflict
from audit.instants import format_instant, utc_now
from audit.query import Query
from audit.retention import Retention
from audit.settings import load_settings
from cli.arguments import an_organization
from cli.compose import Trail, open_engine
from cli.output import AsJson, err, out, print_json, table
from lifecycle.status import DayStatus
from lifecycle.status import status as look
from store.connect import SqliteUrl, parse_store_url

retention = typer.Typer(no_args_is_help=True, help="How long each organization's events stay.")


def add_to(app: typer.Typer) -> None:
    """Add these subcommands."""
    app.command()(setup)
    app.command()(status)
    app.add_typer(retention, name="retention")


def setup(
    dry_run: Annotated[bool, typer.Option(help="Show what would change, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the store ready: templates and ISM policies on OpenSearch, the file on SQLite.

    Safe to run at every start, and by several at once. Shows the difference first.
    """
    settings = load_settings()
    changes: list[Change] = []
    if isinstance(url := parse_store_url(settings.store_url), SqliteUrl):
        if not dry_run:
            with Trail.open(settings):
                pass  # opening makes the file
        err.print(f"SQLite needs no templates{'' if dry_run else f'; {url.path} is ready'}.", markup=False)
    else:
        changes = _set_up(dry_run)
    if as_json:
        print_json([change.as_dict() for change in changes])
        return
    for change in changes:
        out.print(f"{change.action:9} {change.kind} {change.name}", markup=False)
        if change.diff and change.action != "unchanged":
            out.print(change.diff, markup=False, soft_wrap=True)
    if dry_run:
        err.print("Nothing was changed (dry run).")


def _set_up(dry_run: bool) -> list[Change]:
    import index_templates.loader as templates
    import lifecycle

    settings = load_settings()
    engine = open_engine(settings)
    assert engine.client is not None
    assert engine.opener is not None
    try:
        from store.retentions import Retentions

        engine.store.check()
        classes = Retentions(engine.store.records, settings.retention).classes()
        changes = [
            *templates.plan(engine.client, settings.index_replicas),
            *lifecycle.setup_plan(engine.client, classes),
        ]
        if not dry_run:
            templates.prepare(engine.client, settings.index_replicas)
            lifecycle.setup_apply(engine.client, classes)
            engine.store.prepare()
            today = utc_now().date()
            for name in classes:
                for day in (today, today + timedelta(days=1)):
                    engine.opener.open(name, day)
        return changes
    finally:
        engine.store.close()


def status(as_json: AsJson = False) -> None:
    """Show each day that is held: its age, when it is due, and whether its policy is attached.

    Exit code 1 where something is not as it should be.
    """
    with Trail.open(load_settings()) as trail:
        found = look(trail.store, trail.retentions, trail.engine.opener, utc_now())
        place = trail.engine.place
    if as_json:
        print_json({"store": place, **found.as_dict()})
    else:
        table(
            f"{place} at {format_instant(found.at)}",
            ["index", "class", "events", "bytes", "age", "due", "state", "policy"],
            [_row(day) for day in found.days],
        )
        if not found.days:
            err.print("No day is held yet: the first event makes the first.")
        if found.ism is False:
            err.print("This OpenSearch has no Index State Management: Trailkeeper's lifecycle deletes by date itself.")
        for line in found.drift:
            err.print(f"drift: {line}", markup=False)
    if found.drift:
        raise typer.Exit(1)


def _row(day: DayStatus) -> list[object]:
    ages = {-1: "today", -2: "tomorrow"}
    by_date = "none: deleted by date" if day.due is not None else "none: kept for good"
    return [
        day.name,
        day.retention,
        f"{day.events:,}",
        None if day.bytes is None else f"{day.bytes:,}",
        ages.get(day.age_days) or (f"{day.age_days} d" if day.age_days >= 0 else "to come"),
        day.due.date() if day.due else "never",
        day.says,
        day.policy or (by_date if day.attachment == "no ISM" else day.attachment),
    ]


@retention.command("set")
def set_retention(
    organization: Annotated[str, typer.Argument(help="Whose events.", callback=an_organization)],
    length: Annotated[str, typer.Argument(help="Whole days like 365d, or forever.")],
    as_json: AsJson = False,
) -> None:
    """Keep an organization's events for this long from now on.

    On SQLite it holds for what is stored too. On OpenSearch stored events lie in the indices of their class, and moving
    them is not built yet: there it is refused where the organization has events.
    """
    wanted = Retention.parse(length)
    with Trail.open(load_settings(), ingest=True) as trail:
        before = trail.retentions.of(organization)
        if trail.engine.client is not None and before != wanted and _has_events(trail, organization):
            raise Conflict(
                f"{organization} has events in the class {before}, and they can't be moved to {wanted} yet.",
                fix="Set the retention before the organization's first event.",
            )
        trail.retentions.set(organization, wanted)
        trail.record_operation(
            "retention.update",
            organization,
            resource_id=organization,
            details={"changes": {"retention": {"old": str(before), "new": str(wanted)}}},
        )
    if as_json:
        print_json({"organization_id": organization, "retention": str(wanted)})
    else:
        err.print(f"Events of {organization} stay: {wanted}.", markup=False)


@retention.command("list")
def list_retentions(as_json: AsJson = False) -> None:
    """Show the default, and each organization that has a retention of its own."""
    with Trail.open(load_settings()) as trail:
        own = {name: str(length) for name, length in trail.retentions.own().items()}
        default = str(trail.retentions.default)
    if as_json:
        print_json({"default": default, "organizations": own})
    else:
        table(None, ["organization", "retention"], [["(default)", default], *own.items()])


def _has_events(trail: Trail, organization: str) -> bool:
    return bool(trail.store.search(Query(organization_id=organization), limit=1).items)
