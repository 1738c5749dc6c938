"""`trailkeeper search` and `trailkeeper export`: the trail, read as an owner reads it."""

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO
from urllib.parse import quote

import typer

from audit.settings import load_settings
from cli.arguments import Organization
from cli.client import Token, Url, get, reader
from cli.output import AsJson, err, out, print_json, progress, table, unwritable

Action = Annotated[list[str] | None, typer.Option(help="Only this action; repeat for more (OR).")]
ResourceType = Annotated[list[str] | None, typer.Option(help="Only this type of resource; repeatable.")]
ResourceId = Annotated[list[str] | None, typer.Option(help="Only this resource; repeatable.")]
Actor = Annotated[list[str] | None, typer.Option(help="Only this actor, by id, email or name; repeatable.")]
Outcome = Annotated[list[str] | None, typer.Option(help="success, failure or denied; repeatable.")]
Since = Annotated[str | None, typer.Option("--from", help="At or after this RFC 3339 instant.")]
Until = Annotated[str | None, typer.Option("--to", help="Before this RFC 3339 instant.")]
Order = Annotated[str, typer.Option(help="desc: newest first; asc: oldest first.")]

# A spreadsheet takes a cell that begins like this for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Columns of a terminal below which six columns side by side have no room.
_WIDE = 120
_COLUMNS = (
    "occurred_at", "actor.type", "actor.id", "actor.name", "actor.email", "action", "resource.type", "resource.id",
    "resource.name", "outcome", "context.ip", "context.user_agent", "context.request_id", "source", "details", "id",
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add these subcommands."""
    app.command()(search)
    app.command()(export)


def search(
    organization: Organization,
    action: Action = None,
    resource_type: ResourceType = None,
    resource_id: ResourceId = None,
    actor: Actor = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    order: Order = "desc",
    limit: Annotated[int, typer.Option(min=1, help="How many, at the most.")] = 50,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Find events. What you look at is on the trail itself (audit_log.view)."""
    filters = _filters(action, resource_type, resource_id, actor, outcome, since, until, order)

    async def run() -> tuple[list[dict[str, Any]], bool]:
        async with reader(load_settings(), url, token, organization) as client:
            found: list[dict[str, Any]] = []
            async for items, more in _pages(client, organization, filters, limit):
                found += items
                if len(found) >= limit:
                    return found[:limit], more
            return found, False

    events, more = asyncio.run(run())
    if as_json:
        for event in events:
            print_json(event)
        return
    _print_table(events)
    err.print("Nothing matches." if not events else f"{len(events)} events{', and there are more' if more else ''}.")


def export(
    organization: Organization,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output where not given.")
    ] = None,
    format: Annotated[Literal["ndjson", "csv"], typer.Option(help="The form.")] = "ndjson",
    action: Action = None,
    resource_type: ResourceType = None,
    resource_id: ResourceId = None,
    actor: Actor = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    order: Order = "asc",
    url: Url = None,
    token: Token = None,
) -> None:
    """Write all events that match to a file, in constant memory. The reading is on the trail itself."""
    filters = _filters(action, resource_type, resource_id, actor, outcome, since, until, order)

    async def run(target: TextIO) -> int:
        written = 0
        write = _csv_writer(target) if format == "csv" else _ndjson_writer(target)
        async with reader(load_settings(), url, token, organization) as client:
            with progress("exporting", counted=False) as bar:
                task = bar.add_task("", total=None)
                async for items, _ in _pages(client, organization, filters, 1000):
                    for event in items:
                        write(event)
                    written += len(items)
                    bar.update(task, completed=written)
        return written

    if output is None:
        written = asyncio.run(run(sys.stdout))
    else:
        draft = output.with_name(output.name + ".part")  # a file of that name is always a whole export
        try:
            with draft.open("w", encoding="utf-8", newline="") as target:
                written = asyncio.run(run(target))
            draft.replace(output)
        except OSError as error:
            raise unwritable(output, "--output", error) from None
        finally:
            draft.unlink(missing_ok=True)
    err.print(f"{written:,} events exported{f' to {output}' if output else ''}.", markup=False)


def _filters(*values: Any) -> list[tuple[str, str]]:
    names = ("action", "resource_type", "resource_id", "actor", "outcome", "from", "to", "order")
    pairs: list[tuple[str, str]] = []
    for name, value in zip(names, values, strict=True):
        pairs += [(name, item) for item in (value if isinstance(value, list) else [value]) if item is not None]
    return pairs


async def _pages(
    client: Any, organization: str, filters: list[tuple[str, str]], limit: int
) -> AsyncIterator[tuple[list[dict[str, Any]], bool]]:
    path = f"/v1/organizations/{quote(organization, safe='')}/audit-logs"
    cursor: str | None = None
    while True:
        parameters = [*filters, ("limit", str(min(limit, 1000))), *([("cursor", cursor)] if cursor else [])]
        page = await get(client, path, parameters)
        cursor = page["next_cursor"]
        yield page["items"], cursor is not None
        if cursor is None:
            return


def _print_table(events: list[dict[str, Any]]) -> None:
    """Print a row an event; in a window too narrow for that, two rows of three columns."""
    rows = [_row(event) for event in events]
    if out.width >= _WIDE:
        table(None, ["time (UTC)", "actor", "action", "resource", "outcome", "details"], rows)
        return
    halves: list[list[object]] = []
    for time, actor, action, resource, outcome, details in rows:
        halves += [[time, action, resource], [_cut(actor, 24), outcome, details]]
    table(None, ["time (UTC), actor", "action, outcome", "resource, details"], halves)


def _row(event: dict[str, Any]) -> list[str]:
    actor, resource = event["actor"], event.get("resource", {})
    who = actor.get("name") or actor.get("email") or actor.get("id") or actor["type"]
    what = " ".join(filter(None, (resource.get("type"), resource.get("name") or resource.get("id"))))
    return [
        event["occurred_at"][:19].replace("T", " "),
        who,
        event["action"],
        what,
        event["outcome"],
        in_one_line(event.get("details")),
    ]


def in_one_line(details: dict[str, Any] | None, width: int = 60) -> str:
    """Show what changed as `limit 100 → 250`, and anything else as JSON, cut to `width` characters."""
    if not details:
        return ""
    changes = details.get("changes")
    if isinstance(changes, dict) and all(isinstance(change, dict) for change in changes.values()):
        text = ", ".join(f"{name} {change.get('old')} → {change.get('new')}" for name, change in changes.items())
    else:
        text = json.dumps(details, ensure_ascii=False)
    return _cut(text, width)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _ndjson_writer(target: TextIO) -> Any:
    return lambda event: target.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


def _csv_writer(target: TextIO) -> Any:
    rows = csv.writer(target, lineterminator="\r\n")  # RFC 4180, section 2
    rows.writerow(_COLUMNS)
    return lambda event: rows.writerow([_cell(event, column) for column in _COLUMNS])


def _cell(event: dict[str, Any], column: str) -> str:
    value: Any = event
    for step in column.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text
