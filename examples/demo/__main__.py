"""Start a trail, fill it from a real application, and show how to ask it: `make demo`, or `python -m examples.demo`."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.markup import escape

from examples.demo.processes import PORT, ROOT, DemoError, Processes, choose_port, end_on_signals, environment
from examples.demo.screen import console, say, show
from examples.demo.session import JOURNAL, Session, demo_folder
from examples.demo.trail import Trail
from examples.gateway.app import ORGANIZATION
from examples.gateway.drive import EVENTS, MOST_DAYS, drive, flushed, open_office
from examples.gateway.people import SurpriseError
from examples.gateway.routine import Routine
from examples.gateway.state import Member, seed

READERS = ("owner", "admin", "developer")


def main() -> None:
    """Run the demo; what goes wrong is said in a sentence."""
    arguments = parse()
    end_on_signals()
    try:
        with demo_folder(arguments.folder, keep=arguments.keep) as folder, Processes(folder) as processes:
            run(arguments, folder, processes)
    except KeyboardInterrupt:
        say("Ended.")
    except (DemoError, SurpriseError) as error:
        console.print("[bold red]The demo can't go on.[/]", escape(str(error)), soft_wrap=True)
        sys.exit(1)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--port", type=int, help=f"the trail's port; without it {PORT}, or a free one")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where its files go")
    parser.add_argument("--keep", action="store_true", help="go on with the trail that the last demo left")
    parser.add_argument("--once", action="store_true", help="end when all is printed, instead of at Ctrl-C")
    parser.add_argument("--days", type=int, default=14, choices=range(MOST_DAYS + 1), metavar="N", help="spread events")
    parser.add_argument("--events", type=int, default=EVENTS, help="at least how many events")
    parser.add_argument("--seed", type=int, default=7, help="another one: another order of things")
    return parser.parse_args()


def run(arguments: argparse.Namespace, folder: Path, processes: Processes) -> None:
    """Start, fill, show; then keep the gateway busy until somebody ends it."""
    started = datetime.now(UTC)
    trail = Trail(folder, choose_port(arguments.port))
    key = trail.ingest_key()
    say(f"Starting a trail at {trail.url} …")
    trail.serve(processes)
    people = readers()
    # Looking at the trail is on the trail, so the demo looks under a name of its own.
    own_token = trail.token(Member("demo", "The demo", "demo@northwind.example", "admin"))
    before = trail.count(own_token)

    gateway = serve_gateway(processes, folder, trail.url, key)
    say(f"Driving the gateway at {gateway}: {arguments.days} days of work …")
    office, routine = open_office(gateway, days=arguments.days, events=arguments.events, seed=arguments.seed)
    drive(office, routine, arguments.events)
    expected = before + office.emitted.total()
    processes.wait("Delivering the gateway's events", lambda: flushed(gateway, 1), 60)
    processes.wait("Finding every event again", lambda: trail.count(own_token) >= expected, 60)

    tokens = {role: trail.token(person) for role, person in people.items()}
    session = Session(trail.url, trail.url, ORGANIZATION, key, tokens)
    session.write(folder)
    since = (started - timedelta(days=arguments.days)).date()
    show(session, {role: person.name for role, person in people.items()}, since, gateway, expected, folder)
    if not arguments.once:
        stay(processes, routine)


def readers() -> dict[str, Member]:
    """Find somebody of each role among the gateway's people."""
    members = seed(ORGANIZATION).members.values()
    return {role: next(member for member in members if member.role == role) for role in READERS}


def serve_gateway(processes: Processes, folder: Path, url: str, key: str) -> str:
    """Start the gateway on a port that it finds; return the address that it says."""
    command = [sys.executable, "-m", "examples.gateway", "--port", "0", "--demo"]
    env = environment(url=url, ingest_key=key, journal=folder.absolute() / JOURNAL)
    process = processes.start("gateway", command, env)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    if not address:
        process.wait(10)
        processes.check()
    return address


def stay(processes: Processes, routine: Routine) -> None:
    """Let somebody do something every few seconds, until a signal comes or a process ends."""
    say("New events arrive every few seconds. Ctrl-C ends it all.")
    while True:
        processes.watch(routine.random.uniform(2, 8))
        routine.step()


if __name__ == "__main__":
    main()
