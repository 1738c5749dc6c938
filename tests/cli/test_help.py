"""Help teaches: every subcommand and every option says what it is for."""

from typing import Any

import pytest
import typer.main

from cli.main import app
from tests.cli.command import Command

ROOT = typer.main.get_command(app)
SUBCOMMANDS = [
    "serve", "setup", "status", "keys", "token", "search", "import", "export", "retention", "deadletters",
]  # fmt: skip


def walk(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every command, with the words that lead to it."""
    found = [(path, command)]
    for name, below in getattr(command, "commands", {}).items():
        found += walk(below, (*path, name))
    return found


COMMANDS = walk(ROOT)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_it_has_the_subcommand(name: str) -> None:
    assert (name,) in dict(COMMANDS)


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda item: " ".join(item) if isinstance(item, tuple) else ""
)
def test_every_command_says_what_it_does(path: tuple[str, ...], command: Any) -> None:
    assert command.help


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda item: " ".join(item) if isinstance(item, tuple) else ""
)
def test_every_option_and_argument_says_what_it_is(path: tuple[str, ...], command: Any) -> None:
    silent = [
        parameter.name
        for parameter in command.params
        if not getattr(parameter, "help", None) and parameter.name not in ("install_completion", "show_completion")
    ]
    assert silent == []


def test_without_arguments_it_shows_its_help(trailkeeper: Command) -> None:
    ran = trailkeeper()

    assert all(name in ran.out + ran.err for name in SUBCOMMANDS)


def test_a_subcommand_that_is_not_there_is_2(trailkeeper: Command) -> None:
    assert trailkeeper("sieve").code == 2
