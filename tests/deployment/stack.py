"""The compose file's own services as processes of this machine, each with the environment that it gives them.

What differs from containers is named in `Stack`: the node's address stands for the host `opensearch`, folders stand for
volumes and tmpfs, and each service listens on a free loopback port instead of its published one.
"""

import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.deployment.compose_file import EXAMPLE, OURS, interpolate
from tests.deployment.image_file import HEALTH, IMAGE
from tests.nodes import Node

SECONDS = 60.0
"""How long a service may take until its health check says that it lives."""

_BIN = Path(sys.executable).parent
_LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Service:
    """One running `trailkeeper serve`."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.environment = environment
        self._folder = folder
        self._lines: list[str] = []
        self._ports: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            arguments, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        port = self._ports.get(timeout=SECONDS)
        if port is None:
            self._reading.join()
            raise AssertionError(f"{name} ended: {self.log}")
        self.environment["TRAILKEEPER_PORT"] = str(port)
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + SECONDS
        while self.health_check().returncode != 0:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._lines.append(line)
                if found := _LISTENING.search(line):
                    self._ports.put(int(found[1]))
        self._ports.put(None)

    @property
    def log(self) -> str:
        """Everything it has said."""
        return "".join(self._lines)

    def health_check(self) -> subprocess.CompletedProcess[str]:
        """Run the image's health check beside it."""
        return subprocess.run(
            [sys.executable, *HEALTH[1:]],
            env=self.environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self, seconds: float) -> int:
        """End it as `docker compose stop` does; give its exit code. It is killed where it takes longer."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=seconds)
        finally:
            self._process.kill()
            self._process.wait()
            self._reading.join()


class Stack:
    """Starts services of docker-compose.yml over a node that stands for its `opensearch`."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._folder = folder
        self._netloc = urlsplit(node.url).netloc
        assert node.password is not None
        self.variables = EXAMPLE | {"OPENSEARCH_ADMIN_PASSWORD": node.password, "TRAILKEEPER_JWT_SECRET": "5a" * 32}
        self._running: list[Service] = []

    def environment(self, name: str) -> dict[str, str]:
        """Give the environment that the image and the compose file give a service, and no other."""
        service: dict[str, Any] = interpolate(OURS[name], self.variables)
        environment = IMAGE.environment | service["environment"]
        mounted = {path: str(folder) for path, folder in self._mounts(name).items()}
        for variable, value in environment.items():
            value = value.replace("opensearch:9200", self._netloc)
            for path, folder in mounted.items():
                value = value.replace(path, folder)
            environment[variable] = value
        path = environment["PATH"].replace("/opt/trailkeeper/bin", str(_BIN))
        return environment | {
            "PATH": path,
            "HOME": mounted[IMAGE.one("VOLUME")],
            "TMPDIR": mounted["/tmp"],
            "TRAILKEEPER_HOST": "127.0.0.1",
            "TRAILKEEPER_PORT": "0",
        }

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `trailkeeper …` as `docker compose exec` would beside a service; without words, the service's own."""
        return subprocess.run(
            ["trailkeeper", *(command or OURS[name]["command"])],
            env=self.environment(name),
            cwd=self._mounts(name)[IMAGE.one("WORKDIR")],
            executable=_BIN / "trailkeeper",
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def start(self, name: str) -> Service:
        """Start a service; returns when its health check says that it lives."""
        service = Service(
            name,
            [str(_BIN / "trailkeeper"), *OURS[name]["command"]],
            self.environment(name),
            self._mounts(name)[IMAGE.one("WORKDIR")],
        )
        self._running.append(service)
        return service

    def stop(self, service: Service) -> int:
        """Stop one within the time that the compose file gives it; give its exit code."""
        self._running.remove(service)
        return service.stop(float(OURS[service.name]["stop_grace_period"].removesuffix("s")))

    def close(self) -> None:
        """Stop what still runs."""
        for service in list(self._running):
            self.stop(service)

    def _mounts(self, name: str) -> dict[str, Path]:
        service = OURS[name]
        mounts = {entry.split(":")[0]: f"{name}-tmpfs{entry.split(':')[0]}" for entry in service["tmpfs"]}
        mounts |= {path: volume for volume, path in (entry.split(":") for entry in service.get("volumes", []))}
        folders = {path: self._folder / folder for path, folder in mounts.items()}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return folders
