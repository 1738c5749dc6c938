"""What a person sees: addresses, tokens, and three commands to copy."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

from rich.console import Console
from rich.markup import escape

from examples.demo.session import SESSION, Session

console = Console(highlight=False)
PRETTY = " | python3 -m json.tool --no-ensure-ascii"


def say(text: str) -> None:
    """Print a line of what is going on."""
    console.print(f"[dim]·[/] {text}", soft_wrap=True)


def curl(session: Session, role: str, filters: Mapping[str, object], *, show_status: bool = False) -> str:
    """Write a command that reads the trail. Two lines, one command: the second is what one would change."""
    url = f"{session.url}/v1/organizations/{session.organization_id}/audit-logs"
    query = f"?{urlencode(filters, doseq=True, safe=':@')}" if filters else ""
    pretty = PRETTY if shutil.which("python3") and not show_status else ""
    options = "-s -i" if show_status else "-s"
    return f"curl {options} -H 'Authorization: Bearer {session.tokens[role]}' \\\n  '{url}{query}'{pretty}"


def questions(session: Session, since: date) -> list[tuple[str, str]]:
    """Write the three questions, each with the command that answers it."""
    removed = {"action": ["team_member.update", "team_member.remove"], "outcome": "success"}
    keys = {"actor": "dana@northwind.example", "resource_type": "api_key", "from": f"{since}T00:00:00Z"}
    return [
        (
            "Who removed Dana Ivers, and what was her role before? By action and outcome:",
            curl(session, "owner", removed),
        ),
        (
            f"Who disabled production-web? By actor, resource type and date, what Dana did to API keys since {since}:",
            curl(session, "admin", keys),
        ),
        ("May a developer read the trail? 403:", curl(session, "developer", {}, show_status=True)),
    ]


def show(session: Session, people: Mapping[str, str], since: date, gateway: str, count: int, folder: Path) -> None:
    """Print it all. Tokens and commands stay unwrapped, so that a terminal copies them whole."""
    console.print()
    console.print(f"[bold green]The trail is at {session.url}[/]  (its API: {session.url}/docs)", soft_wrap=True)
    console.print(f"{count} events in it came from the sample gateway at {gateway}.", soft_wrap=True)
    console.print(f"\n[bold]Tokens[/], for a day. For scripts: {escape(str(folder / SESSION))}", soft_wrap=True)
    for role, token in session.tokens.items():
        console.print(f"\n[bold]{role}[/] ({people[role]})", soft_wrap=True)
        console.print(token, soft_wrap=True, markup=False)
    for number, (question, command) in enumerate(questions(session, since), 1):
        console.print(f"\n[bold]{number}. {question}[/]", soft_wrap=True)
        console.print(command, soft_wrap=True, markup=False)
    console.print()
