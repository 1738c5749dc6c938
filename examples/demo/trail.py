"""The trail as the demo uses it: the real `trailkeeper` command in its own process, and its API."""

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

import httpx

from examples.demo.processes import TRAILKEEPER, DemoError, Processes, environment
from examples.demo.session import STORE
from examples.gateway.app import ORGANIZATION
from examples.gateway.state import Member
from trailkeeper import Action

# Longer than anybody looks at a demo in one sitting, and than the 12 hours that scripts may count on.
TOKEN_HOURS = 24


class Trail:
    """An embedded trail on one SQLite file in the demo's folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._env = environment(
            store_url=f"sqlite:///{folder.absolute() / STORE}",
            spool_path=folder.absolute() / "spool.sqlite",
            jwt_secret=secrets.token_hex(32),
            host="127.0.0.1",
            port=port,
        )

    def serve(self, processes: Processes) -> None:
        """Start it, and wait until it is ready."""
        processes.start("trail", [TRAILKEEPER, "serve"], self._env)
        processes.wait("Starting the trail", self._is_ready, 60)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def ingest_key(self) -> str:
        """Make a key that the gateway emits with."""
        made = self._command("keys", "create", "--organization", ORGANIZATION, "--scope", "ingest", "--name", "gateway")
        return str(made["key"])

    def token(self, person: Member) -> str:
        """Make a reader's token for somebody, with the role that they have in the gateway."""
        who = ["--subject", person.id, "--name", person.name, "--email", person.email]
        hours = ["--hours", str(TOKEN_HOURS)]
        made = self._command("token", "--organization", ORGANIZATION, "--role", person.role, *who, *hours)
        return str(made["token"])

    def _command(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(  # noqa: S603 the demo's own command
            [TRAILKEEPER, *arguments, "--json"], env=self._env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoError(f"`trailkeeper {' '.join(arguments[:2])}` failed: {done.stderr.strip()}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def count(self, token: str) -> int:
        """Count the events of the gateway's actions that a search finds."""
        answer = httpx.get(
            f"{self.url}/v1/organizations/{ORGANIZATION}/audit-logs/filters",
            params={"action": [str(action) for action in Action]},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )
        return sum(action["count"] for action in answer.raise_for_status().json()["actions"])
