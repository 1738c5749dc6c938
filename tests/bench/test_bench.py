"""`python -m bench` works and says what it measured; how fast anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import NAMES
from bench.measure import Aim, Options, Result, Sample, interleave

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_figure_is_one_json_line_with_both_sides_the_ratio_and_the_aim() -> None:
    done = run("validate", "--json", "--quick", "--rounds", "2")
    (line,) = done.stdout.splitlines()
    figure = json.loads(line)
    assert list(figure) == [
        "figure", "ours", "peer", "unit", "ratio", "aim", "floor", "rounds", "met", "cpu", "notes", "skipped",
    ]  # fmt: skip
    assert (figure["figure"], figure["aim"], figure["floor"], figure["rounds"]) == ("validate", 4, 6, 2)
    assert figure["met"] in ("aim", "floor", "missed")
    assert figure["ours"] > 0 < figure["peer"]


def test_every_figure_says_what_is_measured_against_what() -> None:
    listed = run("--list").stdout
    assert [name for name in NAMES if f"{name}: " not in listed] == []


def test_a_figure_nobody_knows_is_refused_with_those_there_are() -> None:
    done = run("speed")
    assert done.returncode == 2
    assert "there are emit, ingest_vs_bulk" in done.stderr


@pytest.mark.parametrize(
    ("ratio", "lower_is_better", "met"),
    [(4.0, True, "aim"), (5.0, True, "floor"), (6.1, True, "missed"), (6.0, False, "aim"), (3.9, False, "missed")],
)
def test_a_bound_itself_is_met(ratio: float, lower_is_better: bool, met: str) -> None:
    aim = Aim(4.0, 6.0, lower_is_better=True) if lower_is_better else Aim(6.0, 4.0)
    assert aim.met(ratio) == met


def test_rounds_alternate_and_the_ratio_is_the_median_of_theirs() -> None:
    order: list[str] = []

    def side(name: str, values: list[float]):
        def measure(number: int) -> Sample:
            order.append(f"{name}{number}")
            return Sample(values[number], {"process": number})

        return measure

    ours, peer = side("ours", [1, 2, 30]), side("peer", [2, 2, 10])
    result: Result = interleave(Options(rounds=3), "figure", ours, peer, unit="s", aim=Aim(1, 1))
    assert order == ["ours0", "peer0", "peer1", "ours1", "ours2", "peer2"]
    assert (result.ours, result.peer, result.ratio) == (2, 2, 1)
    assert result.cpu == {"ours": {"process": 1}, "peer": {"process": 1}}
