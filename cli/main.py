"""The command itself: its subcommands, and how an error looks."""

import os
import sys

import typer

from audit.errors import TrailkeeperError
from cli import access, bring, deadletters, operate, read, serve
from cli.logs import configure_logging
from cli.output import print_error

app = typer.Typer(
    name="trailkeeper",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""The audit trail of your organizations: who did what, when, to which resource.

    With nothing set, everything runs embedded on one SQLite file: `trailkeeper serve`. Settings are environment variables,
    TRAILKEEPER_*; the README has the table. Most commands take --json.""",
    epilog="Start with: trailkeeper serve   ·   then: trailkeeper keys create --help",
)
for part in (serve, operate, access, read, bring, deadletters):
    part.add_to(app)


def main() -> None:
    """Run the command; an error of ours becomes two lines and exit code 1, never a traceback."""
    configure_logging("warning", "console")  # `serve` sets up what its settings say
    try:
        app(standalone_mode=True)
    except TrailkeeperError as error:
        print_error(error)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
