"""The command in a folder of the test's own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Command, start_zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator["subprocess.Popen[str]"]:
    """Runs commands, each in a process of its own, without starting Python anew for each."""
    with start_zygote() as zygote:
        yield zygote


@pytest.fixture
def trailkeeper(tmp_path: Path, zygote: "subprocess.Popen[str]") -> Command:
    """The command, embedded, over a fresh file."""
    return Command(tmp_path, zygote)
