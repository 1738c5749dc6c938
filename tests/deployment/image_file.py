"""The Dockerfile as data: its stages, each a list of instructions in order."""

import json
import re
import shlex
from dataclasses import dataclass

from tests.deployment.compose_file import ROOT


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    image: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Give the arguments of every instruction of this name."""
        return [arguments for instruction, arguments in self.instructions if instruction == name]

    def one(self, name: str) -> str:
        """Give the arguments of the only instruction of this name."""
        (arguments,) = self.all(name)
        return arguments

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(pair.split("=", 1) for arguments in self.all("ENV") for pair in shlex.split(arguments))


def read_dockerfile(text: str) -> list[Stage]:
    """Read it: comments out, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, arguments = line.partition(" ")
        if name == "FROM":
            stages.append(Stage(arguments.split()[0], ()))
        else:
            stages[-1] = Stage(stages[-1].image, (*stages[-1].instructions, (name, arguments.strip())))
    return stages


BUILD, IMAGE = read_dockerfile((ROOT / "Dockerfile").read_text("utf-8"))
HEALTH: list[str] = json.loads(IMAGE.one("HEALTHCHECK").partition("CMD ")[2])
"""The command of the image's health check."""
