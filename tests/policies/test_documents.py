"""What is written down is true: the README's tables come from the program, and no file leads to one machine alone."""

import re
import subprocess
from pathlib import Path

import pytest

from audit.settings import PREFIX, Settings, settings_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")

# Built from parts, so that this file does not name them.
REGISTRIES = [".".join(parts) for parts in (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"),
    ("repo1", "maven", "org"), ("repo", "maven", "apache", "org"), ("maven", "google", "com"), ("jcenter", "bintray", "com"),
)]  # fmt: skip
FOLDERS = ["/".join(("", *parts, "")) for parts in (("work",), ("home", "[a-z]+"), ("Users", "[A-Za-z]+"), ("root",))]


def files() -> list[Path]:
    """Every text file under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def naming(pattern: str) -> list[str]:
    """The places that match a pattern."""
    found = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        for number, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if found.search(text)
    ]


def test_the_readmes_table_of_settings_is_the_programs() -> None:
    found = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", README, re.DOTALL)

    assert found is not None
    assert found.group(1).strip() == settings_table().strip()


def test_every_setting_that_is_named_anywhere_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known}
    named = set(re.findall(rf"{PREFIX}[A-Z][A-Z_]*[A-Z]", README))
    elsewhere = {"URL", "INGEST_KEY", "INGEST_KEY_FILE", "TOKEN", "ORGANIZATION", "REQUIRE_OPENSEARCH"}

    assert named - known - {PREFIX + name for name in elsewhere} == set()


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_a_package_registry(host: str) -> None:
    assert naming(rf"\b{re.escape(host)}\b") == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_names_a_folder_of_one_machine(folder: str) -> None:
    assert naming(rf"(?<![\w.:/}}$-]){folder}") == []
