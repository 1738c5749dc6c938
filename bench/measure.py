"""Interleaved rounds, their medians, and what they say about an aim.

A noisy machine is noisy for both sides: each round measures ours and the peer right after one another, the order changing
from round to round, and the ratio is the median of the rounds' ratios. Absolute numbers say little on another machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One side of one round: its value, and the seconds of CPU each process took meanwhile."""

    value: float
    cpu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a ratio should be, and what it must be."""

    aim: float
    floor: float
    lower_is_better: bool = False

    def met(self, ratio: float) -> str:
        """Tell `aim`, `floor` or `missed`."""
        for name, bound in (("aim", self.aim), ("floor", self.floor)):
            if ratio <= bound if self.lower_is_better else ratio >= bound:
                return name
        return "missed"


@dataclass(frozen=True)
class Result:
    """One line of the table. Where something could not be measured, `skipped` says why."""

    figure: str
    unit: str
    aim: Aim
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    rounds: int = 0
    cpu: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as the JSON line has it."""
        return {
            "figure": self.figure,
            "ours": _short(self.ours),
            "peer": _short(self.peer),
            "unit": self.unit,
            "ratio": _short(self.ratio),
            "aim": self.aim.aim,
            "floor": self.aim.floor,
            "rounds": self.rounds,
            "met": None if self.ratio is None else self.aim.met(self.ratio),
            "cpu": self.cpu,
            "notes": list(self.notes),
            "skipped": self.skipped,
        }


@dataclass(frozen=True)
class Options:
    """How much is measured. `scale` is what numbers of events are multiplied with."""

    rounds: int = 5
    quick: bool = False
    full: bool = False
    say: Callable[[str], None] = lambda text: None

    def events(self, usual: int) -> int:
        """How many events: fewer where it should be quick."""
        return max(1, usual // 4) if self.quick else usual


def interleave(
    options: Options,
    figure: str,
    ours: Callable[[int], Sample],
    peer: Callable[[int], Sample],
    *,
    unit: str,
    aim: Aim,
    notes: tuple[str, ...] = (),
) -> Result:
    """Measure both sides in turn; each is given the number of its round, to make unique events with."""
    pairs: list[tuple[Sample, Sample]] = []
    for number in range(options.rounds):
        if number % 2:
            second = peer(number)
            first = ours(number)
        else:
            first = ours(number)
            second = peer(number)
        pairs.append((first, second))
        options.say(f"{figure}: round {number + 1} of {options.rounds}, {first.value / second.value:.3f}")
    ratios = [first.value / second.value for first, second in pairs]
    spread = f"ratios of the rounds: {', '.join(f'{ratio:.3g}' for ratio in sorted(ratios))}"
    return Result(
        figure,
        unit,
        aim,
        median(first.value for first, _ in pairs),
        median(second.value for _, second in pairs),
        median(ratios),
        options.rounds,
        {"ours": _cpu([first for first, _ in pairs]), "peer": _cpu([second for _, second in pairs])},
        (*notes, spread),
    )


def _cpu(samples: list[Sample]) -> dict[str, float]:
    names = {name: None for sample in samples for name in sample.cpu}
    return {name: round(median(sample.cpu.get(name, 0.0) for sample in samples), 3) for name in names}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
