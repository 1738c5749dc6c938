"""The Dockerfile, as far as it can be held without an engine: what it copies, who runs it, and that its steps install."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deployment.compose_file import ROOT
from tests.deployment.image_file import BUILD, HEALTH, IMAGE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@dataclass(frozen=True)
class Built:
    """What the build stage made."""

    extras: str
    source: Path
    target: Path

    def run(self, command: str, *arguments: str, **environment: str) -> str:
        """Run one of its commands in an environment without anything else; give what it printed."""
        done = subprocess.run(
            [self.target / "bin" / command, *arguments],
            cwd=self.target,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.target)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _copied() -> list[str]:
    return [name.rstrip("/") for arguments in BUILD.all("COPY") for name in arguments.split()[:-1]]


def test_both_stages_stand_on_one_pinned_python() -> None:
    assert BUILD.image == IMAGE.image
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+", IMAGE.image)


def test_it_runs_as_a_user_with_a_fixed_number() -> None:
    uid, gid = IMAGE.one("USER").split(":")
    assert int(uid) > 1000
    (created,) = IMAGE.all("RUN")
    assert f"useradd --uid {uid} " in created
    assert f"groupadd --gid {gid} " in created


def test_nothing_after_the_user_needs_root() -> None:
    names = [name for name, _ in IMAGE.instructions]
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])


def test_the_last_stage_gets_the_installed_environment_and_nothing_to_build_with() -> None:
    assert IMAGE.all("COPY") == ["--from=build /opt/trailkeeper /opt/trailkeeper"]
    assert not re.search(r"\b(pip|apt|apt-get|gcc)\b", IMAGE.one("RUN"))


def test_what_it_copies_is_there_and_is_all_that_the_server_is_built_of() -> None:
    assert [name for name in _copied() if not (ROOT / name).exists()] == []
    assert [name for name in _copied() if (ROOT / name).is_dir()] == PACKAGES


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")] == _copied()


def test_versions_come_from_the_constraints_and_nothing_is_compiled() -> None:
    install = shlex.split(BUILD.all("RUN")[-1])
    assert install[install.index("--constraint") + 1] == "constraints.txt"
    assert install[install.index("--only-binary") + 1] == ":all:"


def test_it_starts_the_command_that_the_project_installs() -> None:
    (command,) = json.loads(IMAGE.one("ENTRYPOINT"))
    assert command in PROJECT["project"]["scripts"]
    assert json.loads(IMAGE.one("CMD")) == ["serve"]


def test_what_is_written_lies_in_the_volume() -> None:
    volume = IMAGE.one("VOLUME")
    assert IMAGE.one("WORKDIR") == volume
    assert IMAGE.environment["TRAILKEEPER_STORE_URL"].startswith(f"sqlite:///{volume}/")
    assert IMAGE.environment["TRAILKEEPER_SPOOL_PATH"].startswith(f"{volume}/")


def test_the_port_is_the_one_exposed() -> None:
    assert IMAGE.environment["TRAILKEEPER_PORT"] == IMAGE.one("EXPOSE")
    assert IMAGE.environment["TRAILKEEPER_HOST"] == "0.0.0.0"


def test_the_health_check_needs_python_alone() -> None:
    assert HEALTH[0] == "python"


@pytest.fixture(scope="module", params=["", "aws"], ids=["as it is", "EXTRAS=aws"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The build stage's own lines, run in a folder instead of a container; some 10 s each, most of it pip."""
    folder = tmp_path_factory.mktemp("build")
    built = Built(request.param, folder / "src", folder / "opt")
    built.source.mkdir()
    for name in _copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, built.source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, built.source / name)
    # The image's Python, and its pip, are here this environment's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRAILKEEPER"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "EXTRAS": built.extras}
    for step in BUILD.all("RUN"):
        done = subprocess.run(
            ["sh", "-ec", step.replace("/opt/trailkeeper", str(built.target))],
            cwd=built.source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    return built


def test_its_steps_install_a_command_that_runs(built: Built) -> None:
    assert "serve" in built.run("trailkeeper", "--help")


def test_what_it_installs_is_what_is_pinned(built: Built) -> None:
    listed = built.run(
        "python",
        "-c",
        "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')",
    )
    pinned = {_canonical(line) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    others = {_canonical(line) for line in listed.splitlines()} - pinned
    assert f"trailkeeper-server=={PROJECT['project']['version']}" in others
    assert {line.partition("==")[0] for line in others} == {"trailkeeper-server"}


def test_its_packages_bring_their_data_files(built: Built) -> None:
    """What lies in our packages and is no module, like templates and policies, is easily forgotten in a wheel."""
    (site,) = built.target.glob("lib/python3.*/site-packages")
    shipped = _data_files(site)
    assert shipped == _data_files(built.source)
    assert {Path(name).suffix for name in shipped} >= {".json", ".toml"}


SIGN = """
from audit.errors import ConfigurationError
from audit.settings import load_settings
from store.connect import connect
try:
    connect(load_settings())
    print("can sign")
except ConfigurationError as error:
    print(error.fix)
"""


def test_requests_to_aws_can_be_signed_with_the_extra_alone(built: Built) -> None:
    said = built.run(
        "python",
        "-c",
        SIGN,
        TRAILKEEPER_STORE_URL="opensearch+https://search-trail.eu-central-1.es.amazonaws.com",
        TRAILKEEPER_STORE_AWS_REGION="eu-central-1",
        AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY="example",
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert said.strip() == ("can sign" if built.extras else "Install trailkeeper-server[aws].")


def _canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+(?=.*==)", "-", requirement).lower()


def _data_files(root: Path) -> set[str]:
    files = (path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in files if path.suffix not in (".py", ".pyc")}
