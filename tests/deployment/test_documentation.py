"""docs/deployment.md and CONTRIBUTING.md: what they name exists, and what they tell to type is understood."""

import re
import shlex
from typing import Any

import pytest
import typer.main
from pydantic import SecretStr

from audit.settings import PREFIX, Settings
from cli.main import app
from tests.deployment.compose_file import OURS, ROOT
from tests.nodes import REQUIRE_VARIABLE

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("docs/deployment.md", "CONTRIBUTING.md")}
DEPLOYMENT = PAGES["docs/deployment.md"]
KNOWN = {PREFIX + name.upper() for name in Settings.model_fields} | {
    f"{PREFIX}{name.upper()}_FILE"
    for name, field in Settings.model_fields.items()
    if field.annotation == SecretStr | None
}


def _typed() -> list[list[str]]:
    """Every `trailkeeper …` of a code block or between backticks, comments and what runs it taken away."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", DEPLOYMENT, re.DOTALL))
    lines = [shlex.split(line, comments=True) for line in blocks.replace("\\\n", " ").splitlines()]
    lines += [shlex.split(span) for span in re.findall(r"`(trailkeeper [^`]+)`", DEPLOYMENT)]
    named = [line for line in lines if "trailkeeper" in line and line[:2] != ["docker", "run"]]
    return [line[len(line) - line[::-1].index("trailkeeper") :] for line in named]


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_named_exists(page: str) -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", PAGES[page]))
    assert named - KNOWN - {REQUIRE_VARIABLE} == set()


@pytest.mark.parametrize("arguments", _typed(), ids=" ".join)
def test_every_command_is_understood(arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    name, context = "trailkeeper", None
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, [*arguments], parent=context)
        name, command, arguments = command.resolve_command(context, arguments)
    # In prose a command stands without what it is about.
    nouns = [one for one in command.params if one.param_type_name == "argument" and one.required]
    command.make_context(name, arguments or ["x"] * len(nouns), parent=context)


def test_compose_is_asked_for_services_that_it_has() -> None:
    named = re.findall(r"docker compose exec (\S+) trailkeeper", DEPLOYMENT)
    assert len(named) >= 3
    assert set(named) <= set(OURS)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if "://" not in link]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        assert (folder / path).exists(), link
        if anchor:
            assert re.search(rf"(?im)^#+ {anchor}$", PAGES[page]), link


def test_every_path_and_target_that_contributors_are_told_of_exists() -> None:
    page = PAGES["CONTRIBUTING.md"]
    paths = {span for span in re.findall(r"`([\w./-]+)`", page) if "/" in span}
    # The form of a name, and what is made when it is needed.
    paths -= {"docs/adr/NNNN-title.md", ".cache/"}
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"make ([a-z]+)", page)) <= set(targets)
