"""The command: `python -m bench [NAME …] [--json] [--rounds N] [--quick] [--full] [--list]`."""

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from bench.figures import NAMES, NEED_A_CLUSTER
from bench.measure import Options, Result
from cli.logs import configure_logging

_STYLES = {"aim": "green", "floor": "yellow", "missed": "red"}


def main() -> int:
    """Measure; exit status 1 where a floor is missed or a figure failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which figures: {', '.join(NAMES)}; default: all")
    parser.add_argument("--json", action="store_true", help="one JSON line a figure, as each is done")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="interleaved rounds a figure (default 5)")
    parser.add_argument("--quick", action="store_true", help="fewer events: to look whether it works, not to quote")
    parser.add_argument(
        "--full", action="store_true", help="rss and growth at the size of their aims: 2 M events, 10 min"
    )
    parser.add_argument("--list", action="store_true", help="say what each figure measures, and end")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if arguments.rounds < 1:
        parser.error("--rounds is at least 1")
    chosen = [name for name in NAMES if name in arguments.names or not arguments.names]
    if arguments.list:
        for name in chosen:
            print(f"{inspect.getdoc(_module(name))}\n")
        return 0
    configure_logging("error", "console")  # to standard error: standard output is for the figures
    talk = Console(stderr=True, highlight=False)
    options = Options(
        arguments.rounds,
        arguments.quick,
        arguments.full,
        lambda text: talk.print(f"  {text}", style="dim", markup=False),
    )
    results: list[Result] = []
    with ExitStack() as stack:
        cluster: Any = None
        for name in chosen:
            if name in NEED_A_CLUSTER and cluster is None:
                from bench.cluster import started
                from tests.nodes import NodeUnavailable

                talk.print("  starting an OpenSearch node …", style="dim")
                try:
                    cluster = stack.enter_context(started())
                except NodeUnavailable as reason:
                    cluster = str(reason)
            measured = _measured(name, options, cluster)
            results += measured
            if arguments.json:
                for result in measured:
                    print(json.dumps(result.as_dict(), ensure_ascii=False), flush=True)
    if not arguments.json:
        _print(results)
    return int(any(_is_bad(result) for result in results))


def _is_bad(result: Result) -> bool:
    if result.ratio is None:
        return (result.skipped or "").startswith("failed")
    return result.aim.met(result.ratio) == "missed"


def _module(name: str) -> Any:
    return import_module(f"bench.figures.{name}")


def _measured(name: str, options: Options, cluster: Any) -> Sequence[Result]:
    module = _module(name)
    arguments = (options, cluster) if name in NEED_A_CLUSTER else (options,)
    if isinstance(arguments[-1], str):
        return [Result(name, "", module.AIM, skipped=cluster)]
    try:
        return cast("Sequence[Result]", module.measure(*arguments))
    except (RuntimeError, OSError) as error:  # one that fails is told, and the others are measured all the same
        return [Result(name, "", module.AIM, skipped=f"failed: {error}")]


def _print(results: list[Result]) -> None:
    table = Table(title="Trailkeeper side by side: medians of interleaved rounds", title_justify="left")
    for column in ("figure", "ours", "peer", "unit", "ratio", "aim (floor)", "met"):
        table.add_column(column, justify="right" if column in ("ours", "peer", "ratio") else "left")
    for result in results:
        sign = "≤" if result.aim.lower_is_better else "≥"
        bounds = f"{sign} {result.aim.aim:g} ({result.aim.floor:g})"
        if result.ratio is None:
            table.add_row(result.figure, "", "", result.unit, "", bounds, result.skipped or "skipped")
            continue
        met = result.aim.met(result.ratio)
        table.add_row(
            result.figure,
            _number(result.ours),
            _number(result.peer),
            result.unit,
            f"{result.ratio:.3g}",
            bounds,
            f"[{_STYLES[met]}]{met}[/]",
        )
    console = Console(highlight=False)
    console.print(table)
    for result in results:
        for side, cpu in result.cpu.items():
            if cpu:
                shares = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in cpu.items())
                console.print(f"{result.figure}, CPU of {side}: {shares}", style="dim", markup=False)
        for note in result.notes:
            console.print(f"{result.figure}: {note}", style="dim", markup=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
