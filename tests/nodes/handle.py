"""What a test may ask of a node: its address, its credentials, and to die and come back.

One class for all three kinds, so that a test never knows whether a container, a process or a person's cluster answers.
"""

import abc
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

VERSION = "3.6.0"
"""The OpenSearch the tests run against: the same in the image, in Maven Central and in docker-compose.yml."""

READY_SECONDS = 180.0
"""How long a node may take until it answers. 13 s is usual; a shared runner with two busy cores took 60."""


class NodeUnavailable(Exception):
    """No node can be had on this machine; the message is one line that says what to install."""


class NodeFailed(Exception):
    """A node was started and did not become ready; the message ends with its log."""


class NotOurs(Exception):
    """The node is somebody's (OPENSEARCH_URL): it is not for a test to stop or kill it."""


class Node(abc.ABC):
    """A running OpenSearch node.

    `close` ends it and removes its data; the context manager calls it. `stop`, `kill` and `restart` keep the data.
    """

    url: str
    """Address without credentials and without a trailing slash; the same for the node's whole life."""

    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    """PEM file of the authority that signed the node's certificate, for https with a certificate of its own."""

    controllable: bool = True
    """Whether start, stop, kill and restart work. A test that needs them asks for `start_node(own=True)`."""

    @abc.abstractmethod
    def start(self) -> None:
        """Start again after `stop` or `kill`, on the same data and port; returns when the node is ready."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Let the node shut down in order (SIGTERM); its data stay."""

    @abc.abstractmethod
    def kill(self) -> None:
        """SIGKILL to the java process; returns when it is gone. Its data stay as they were on disk."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the node and remove its data. Safe to call twice."""

    @abc.abstractmethod
    def log(self) -> str:
        """The end of the node's log, for error messages."""

    @abc.abstractmethod
    def alive(self) -> bool:
        """Whether the process behind the node runs (not whether it answers)."""

    def restart(self) -> None:
        """Stop in order, then start on the same data and port."""
        self.stop()
        self.start()

    def http(self, *, timeout: float = 30.0) -> httpx.Client:
        """An HTTP client for this node, credentials and certificate authority included. The caller closes it."""
        auth = (self.user, self.password or "") if self.user is not None else None
        verify = ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else True
        return httpx.Client(base_url=self.url, auth=auth, verify=verify, timeout=timeout, trust_env=False)

    def store_settings(self) -> dict[str, str]:
        """Give the settings of a store on this node, by name: `store_url` and, as they are needed, user, password and CA."""
        scheme, _, host = self.url.partition("://")
        user = f"{quote(self.user, safe='')}@" if self.user is not None else ""
        settings = {"store_url": f"{'opensearch+https' if scheme == 'https' else 'opensearch'}://{user}{host}"}
        if self.password is not None:
            settings["store_password"] = self.password
        if self.ca_file is not None:
            settings["store_ca_file"] = str(self.ca_file)
        return settings

    def environment(self) -> dict[str, str]:
        """Give the same as environment variables."""
        return {f"TRAILKEEPER_{name.upper()}": value for name, value in self.store_settings().items()}

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the cluster answers with health yellow or better.

        Yellow is ready: ISM's and the security plugin's own indices ask for a replica that one node cannot give.
        503 and 401 are waited out, because a secured node gives both while it writes its first users.
        """
        deadline = time.monotonic() + seconds
        last = "no answer yet"
        with self.http(timeout=10.0) as client:
            while time.monotonic() < deadline:
                try:
                    answer = client.get("/_cluster/health", params={"wait_for_status": "yellow", "timeout": "5s"})
                    if answer.status_code == httpx.codes.OK and not answer.json()["timed_out"]:
                        return
                    last = f"HTTP {answer.status_code} {answer.text[:300]}"
                except httpx.TransportError as error:
                    last = repr(error)
                if not self.alive():
                    raise NodeFailed(f"OpenSearch ended while it started.\n{self.log()}")
                time.sleep(0.1)
        raise NodeFailed(f"OpenSearch at {self.url} was not ready in {seconds:.0f} s: {last}\n{self.log()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
