"""What holds for the whole repository: layers, the SDK's independence, and one vocabulary on both sides."""

import subprocess
import sys
from pathlib import Path

import pytest

import trailkeeper
from audit.catalog import load_catalog
from audit.wire import Limits, parse_event
from trailkeeper import Action, Actor

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BUILT_IN = [each.name for each in load_catalog() if not each.of_the_trail]
SERVER = ("audit", "store", "ingest", "search_api", "index_templates", "lifecycle", "cli")
LIBRARIES = ("pydantic", "fastapi", "starlette", "opensearchpy", "apsw", "orjson", "httpx")


def test_the_layers_point_one_way() -> None:
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout


def test_importing_the_sdk_imports_nothing_of_the_server_nor_its_libraries() -> None:
    program = f"import sys, trailkeeper; print([name for name in {SERVER + LIBRARIES!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


def test_the_sdks_actions_are_the_built_in_catalog() -> None:
    assert [str(action) for action in Action] == BUILT_IN
    assert len(BUILT_IN) == 22


@pytest.mark.parametrize("action", Action, ids=str)
def test_what_the_sdk_emits_is_an_event_in_its_normal_form(action: Action) -> None:
    lines: list[bytes] = []

    class Kept(trailkeeper.Delivery):
        def deliver(self, event: object, line: bytes) -> None:
            lines.append(line)

    before = trailkeeper.pipeline.install(trailkeeper.pipeline.Pipeline(Kept(), None))
    try:
        trailkeeper.get_logger().bind(
            organization_id="org_1", actor=Actor("u_1", name="Ada", email="ada@example.com")
        ).info(
            action,
            resource_id="r_1",
            resource_name="é",
            details={"changes": trailkeeper.diff({"limit": 1}, {"limit": 2.5}), "secret\x00": None},
            ip="192.0.2.1",
            user_agent="tests",
            source="gateway",
        )
    finally:
        trailkeeper.pipeline.install(before)

    (line,) = lines
    event, normal = parse_event(line.strip(), Limits())
    assert (event.action, event.organization_id) == (action, "org_1")
    assert normal == line.strip()
