"""`trailkeeper import`: records of a file onto the trail, each once however often the file is imported."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import httpx
import typer

from audit.access import Writer
from audit.errors import ConfigurationError, Invalid, TrailkeeperError
from audit.settings import load_settings
from cli.arguments import a_bearer, organization_option
from cli.client import ServerError, Url, connect_to, problem_of
from cli.compose import Trail
from cli.output import AsJson, err, print_json, progress, table, unwritable
from ingest.formats import FORMATS
from ingest.pipeline import Accepted

_AT_ONCE = 500
_BYTES_AT_ONCE = 4 << 20  # below what a server takes at once, if its operator set nothing else


class Send(Protocol):
    """Sends events; gives a result for each: its status, and its problem where it was rejected."""

    async def __call__(self, lines: Sequence[bytes]) -> Sequence[dict[str, Any]]:
        """Send them, and wait until the store has them."""
        ...


def add_to(app: typer.Typer) -> None:
    """Add this subcommand."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="One JSON record a line.")],
    organization: Annotated[str, organization_option("Whose trail it joins.", envvar="TRAILKEEPER_ORGANIZATION")],
    format: Annotated[str, typer.Option(help=f"What the records are: {', '.join(FORMATS)}.")] = "ndjson",
    dry_run: Annotated[bool, typer.Option(help="Convert, and show the first event; send nothing.")] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="Write each rejected line and why to this file (NDJSON).")
    ] = None,
    url: Url = None,
    key: Annotated[
        str | None, typer.Option(envvar="TRAILKEEPER_INGEST_KEY", callback=a_bearer, help="An ingest key, for --url.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a file. Importing it again stores nothing twice. Exit code 1 where a record was rejected."""
    if format not in FORMATS:
        raise Invalid(f"There is no format {format!r}.", field="--format", fix=f"Use one of {', '.join(FORMATS)}.")
    if dry_run:
        for _, event in _converted(file, format, organization):
            if isinstance(event, TrailkeeperError):
                raise event
            print_json(json.loads(event))
            return
        raise Invalid(f"{file} has no record.", fix="Write one record a line.")
    counts, refused = asyncio.run(_run(file, format, organization, url, key))
    if rejects is not None:
        try:
            rejects.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in refused), "utf-8")
        except OSError as error:
            raise unwritable(rejects, "--rejects", error) from None
    summary = {name: counts[name] for name in ("accepted", "duplicate", "rejected")}
    if as_json:
        print_json({**summary, "rejects": refused})
    else:
        for item in refused:
            err.print(f"line {item['line']}: {item['problem']['detail']}", markup=False)
        if refused and (fix := refused[0]["problem"].get("fix")):
            err.print(f"What to do: {fix}", markup=False)
        table(None, list(summary), [list(summary.values())])
    if refused:
        raise typer.Exit(1)


async def _run(
    file: Path, format: str, organization: str, url: str | None, key: str | None
) -> tuple[Counter[str], list[dict[str, Any]]]:
    counts: Counter[str] = Counter()
    refused: list[dict[str, Any]] = []

    def reject(number: int, problem: dict[str, Any]) -> None:
        counts["rejected"] += 1
        refused.append({"line": number, "problem": problem})

    async def send_all(pending: list[tuple[int, bytes]]) -> None:
        results = await send([line for _, line in pending])
        for (number, _), result in zip(pending, results, strict=True):
            if result["status"] == "rejected":
                reject(number, result["problem"])
            else:
                counts[result["status"]] += 1
        pending.clear()

    with file.open("rb") as lines:
        total = sum(1 for _ in lines)
    async with _sender(organization, url, key) as send:
        with progress(f"importing {file.name}", counted=True) as bar:
            task = bar.add_task("", total=total)
            pending: list[tuple[int, bytes]] = []
            size = 0
            for number, event in _converted(file, format, organization):
                if isinstance(event, TrailkeeperError):
                    reject(number, event.problem())
                    continue
                if pending and (len(pending) == _AT_ONCE or size + len(event) > _BYTES_AT_ONCE):
                    await send_all(pending)
                    bar.update(task, completed=number)
                    size = 0
                pending.append((number, event))
                size += len(event) + 1
            if pending:
                await send_all(pending)
            bar.update(task, completed=total)
    refused.sort(key=lambda item: int(item["line"]))
    return counts, refused


def _converted(file: Path, format: str, organization: str) -> Iterator[tuple[int, bytes | TrailkeeperError]]:
    """Read and convert line by line; an error takes the place of an event that can't be made."""
    convert = FORMATS[format]
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = _read(line.decode("utf-8-sig"))
                if not isinstance(record, dict):
                    raise Invalid("A record is a JSON object.", fix="Write one object a line.")
                event = json.dumps(
                    convert(record, organization), ensure_ascii=False, allow_nan=False, separators=(",", ":")
                )
                yield number, event.encode()
            except TrailkeeperError as error:
                yield number, error
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                yield number, Invalid(f"The line can't be read as {format}: {error}.", fix="Write one record a line.")


def _no_such_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


# What would be read as something else than it says is refused, as it is over HTTP.
_read = json.JSONDecoder(parse_constant=_no_such_number, object_pairs_hook=_each_key_once).decode


@asynccontextmanager
async def _sender(organization: str, url: str | None, key: str | None) -> AsyncIterator[Send]:
    if url is None:
        with Trail.open(load_settings(), ingest=True) as trail:
            pipeline = trail.ingest

            async def send_here(lines: Sequence[bytes]) -> Sequence[dict[str, Any]]:
                taken = await pipeline.take(lines, Writer("command-line", organization), ack="indexed")
                return [
                    {"status": "duplicate" if item.duplicate else "accepted"}
                    if isinstance(item, Accepted)
                    else {"status": "rejected", "problem": item.error.problem()}
                    for item in taken
                ]

            yield send_here
        return
    if key is None:
        raise ConfigurationError(
            "Sending to a server takes an ingest key.",
            field="TRAILKEEPER_INGEST_KEY",
            fix="Pass --key; `trailkeeper keys create` makes one.",
        )
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    async with connect_to(url, headers) as client:

        async def send_there(lines: Sequence[bytes]) -> Sequence[dict[str, Any]]:
            try:
                response = await client.post("/v1/events?ack=indexed", content=b"\n".join(lines))
            except httpx.TransportError as error:
                raise ConfigurationError(
                    f"The server at {url} doesn't answer: {error}.", fix="Start it, then import again: nothing doubles."
                ) from None
            if response.status_code != 202:
                raise ServerError(problem_of(response))
            results: Sequence[dict[str, Any]] = response.json()["results"]
            return results

        yield send_there
