"""Tables for people, JSON for programs: what every subcommand prints with.

Results go to standard output; progress, hints and errors to standard error, so that output can be piped.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from audit.errors import Invalid, TrailkeeperError

# Piped, a table is as wide as its rows: programs and files have no edge to wrap at.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
err = Console(stderr=True, highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


_NUMBERS = frozenset({"events", "bytes", "age", "accepted", "duplicate", "rejected"})
_WHOLE = frozenset({"time (UTC)", "time (UTC), actor", "action, outcome", "index", "action", "due", "id"})


def print_json(value: Any) -> None:
    """Print one JSON document, a line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; texts from outside are printed as they are, never as markup."""
    grid = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        # Names and times stay whole; what is long wraps in the last column.
        whole = column in _WHOLE
        justify: Literal["right", "left"] = "right" if column in _NUMBERS else "left"
        grid.add_column(column, justify=justify, overflow="fold", no_wrap=whole)
    for row in rows:
        grid.add_row(*("" if cell is None else _plain(str(cell)) for cell in row))
    out.print(grid)


def _plain(text: str) -> str:
    """Keep square brackets from being read as markup, and control characters from reaching the terminal."""
    return "".join(char if char.isprintable() else " " for char in text).replace("[", r"\[")


def progress(what: str, *, counted: bool) -> Progress:
    """Make a progress bar on standard error; it leaves nothing behind where that is no terminal."""
    count = (MofNCompleteColumn(),) if counted else (TextColumn("{task.completed:,}"),)
    return Progress(
        SpinnerColumn(), TextColumn(what), BarColumn(), *count, TimeElapsedColumn(), console=err, transient=True
    )


def unwritable(path: Path, option: str, error: OSError) -> Invalid:
    """Make the error for a file that can't be written."""
    return Invalid(
        f"{path} can't be written: {error.strerror}.", field=option, fix="Name a file in a folder that you may write."
    )


def print_error(error: TrailkeeperError) -> None:
    """Say what is wrong, and what to do next."""
    err.print(f"[bold red]Error:[/] {_plain(error.detail)}")
    for name in ("field", "limit", "fix"):
        value = getattr(error, name)
        if value is not None:
            err.print(f"  [bold]{name}:[/] {_plain(str(value))}")
