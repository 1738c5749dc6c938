"""`trailkeeper deadletters`: what the engine refused, and what becomes of it. What is done here is on the trail."""

import json
from typing import Annotated

import typer

from audit.errors import Invalid
from audit.settings import load_settings
from cli.compose import Trail
from cli.output import AsJson, err, out, print_json, table
from ingest.deadletters import DeadLetter, DeadLetters
from store.protocol import Outcome

app = typer.Typer(no_args_is_help=True, help="Acknowledged events that the store refused, with its own words.")

Ids = Annotated[list[str] | None, typer.Argument(help="Which ones, by event id.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


def add_to(parent: typer.Typer) -> None:
    """Add these subcommands."""
    parent.add_typer(app, name="deadletters")


@app.command("list")
def list_letters(as_json: AsJson = False) -> None:
    """List them, oldest first. Exit code 0 whether there are any or not."""
    with DeadLetters.open(load_settings().spool_path) as dead:
        letters = dead.all()
    if as_json:
        print_json([_as_dict(letter) for letter in letters])
        return
    table(
        None,
        ["id", "organization", "buried at", "error"],
        [[one.document.id, one.document.organization_id, one.buried_at, one.error] for one in letters],
    )
    err.print(f"{len(letters)} dead letters." if letters else "There are no dead letters.")


@app.command()
def show(id: Annotated[str, typer.Argument(help="The event's id.")]) -> None:
    """Show one as JSON: the event, the store's words, and since when."""
    with DeadLetters.open(load_settings().spool_path) as dead:
        print_json(_as_dict(dead.get(id)))


@app.command()
def replay(ids: Ids = None, every: All = False, as_json: AsJson = False) -> None:
    """Write them to the store once more, after its mapping or theirs was mended. What it takes leaves the list."""
    settings = load_settings()
    with DeadLetters.open(settings.spool_path) as dead, Trail.open(settings, ingest=True) as trail:
        letters = _chosen(dead, ids, every)
        results = dead.replay(trail.store, letters)
        rows = [(letter, written) for letter, written in zip(letters, results, strict=True)]
        for letter, written in rows:
            if written.outcome is Outcome.CREATED:
                trail.record_operation("dead_letter.replay", letter.document.organization_id, letter.document.id)
    if as_json:
        print_json(
            [{"id": one.document.id, "outcome": written.outcome, "error": written.error} for one, written in rows]
        )
    else:
        table(None, ["id", "outcome", "error"], [[one.document.id, w.outcome, w.error] for one, w in rows])
    if any(written.outcome not in (Outcome.CREATED, Outcome.DUPLICATE) for _, written in rows):
        raise typer.Exit(1)


@app.command()
def discard(
    ids: Ids = None,
    every: All = False,
    reason: Annotated[str, typer.Option(help="Why; it is on the trail, with who did it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Let them go for good. Shows what would go, and asks first."""
    settings = load_settings()
    if not reason:
        raise Invalid("Discarding an event takes a reason.", field="--reason", fix="Say why: it is on the trail.")
    with DeadLetters.open(settings.spool_path) as dead:
        letters = _chosen(dead, ids, every)
        table(
            None,
            ["id", "organization", "error"],
            [[x.document.id, x.document.organization_id, x.error] for x in letters],
        )
        if letters and not yes:
            typer.confirm(f"Discard these {len(letters)} events for good?", abort=True)
        with Trail.open(settings, ingest=True) as trail:
            for letter in letters:  # on the trail first: a crash in between discards nothing in silence
                trail.record_operation(
                    "dead_letter.discard",
                    letter.document.organization_id,
                    letter.document.id,
                    {"reason": reason, "error": letter.error[:1000]},
                )
        dead.discard(letters)
    out.print(f"{len(letters)} discarded.")


def _chosen(dead: DeadLetters, ids: list[str] | None, every: bool) -> list[DeadLetter]:
    if bool(ids) is every:
        raise Invalid("Which ones?", field="ID", fix="Name event ids, or pass --all.")
    return list(dead.all()) if every else [dead.get(id) for id in ids or ()]


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.document.id,
        "organization_id": letter.document.organization_id,
        "error": letter.error,
        "buried_at": letter.buried_at,
        "event": json.loads(letter.document.body),
    }
