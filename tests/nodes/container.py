"""The official image through testcontainers, where a Docker engine answers. It has ISM and security, unlike process.py's.

testcontainers' own OpenSearchContainer waits for green, which a single node with ISM's indices never reaches, and maps
a random port, which changes over a restart; so the plain DockerContainer is used here.
"""

import atexit
import gc
import importlib
import socket
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.nodes.handle import VERSION, Node, NodeFailed

IMAGE = f"opensearchproject/opensearch:{VERSION}"
HEAP = "512m"
_PASSWORD = "Trail-keeper-4-tests"  # the image refuses a weak one; the node is on a loopback port for minutes
_PORT_ATTEMPTS = 5


def engine_answers() -> bool:
    """Whether a Docker engine answers here. False also where the docker command stands without its daemon."""
    with warnings.catch_warnings():
        # docker-py leaves its socket open when nothing answers; collected here, it warns nobody's test later.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker: Any = importlib.import_module("docker")  # comes with testcontainers; has no types

            client = docker.from_env(timeout=5)
            try:
                return bool(client.ping())
            finally:
                client.close()
        except Exception:
            return False
        finally:
            gc.collect()


class ContainerNode(Node):
    """A container of the official image on a fixed loopback port."""

    def __init__(self, container: Any, url: str) -> None:
        self._container = container
        self._docker = container.get_wrapped_container()
        self._certificates: tempfile.TemporaryDirectory[str] | None = None
        self.url = url
        atexit.register(self.close)

    def trust_demo_authority(self) -> None:
        """Take the certificate authority that the image made for itself out of the container."""
        self._certificates = tempfile.TemporaryDirectory(prefix="trailkeeper-ca-")
        answer = self._docker.exec_run(["cat", "/usr/share/opensearch/config/root-ca.pem"])
        if answer.exit_code != 0:
            raise NodeFailed(f"the image has no root-ca.pem: {answer.output!r}\n{self.log()}")
        self.ca_file = Path(self._certificates.name) / "root-ca.pem"
        self.ca_file.write_bytes(answer.output)
        self.user, self.password = "admin", _PASSWORD

    def start(self) -> None:
        """Start the same container again: its file system, its port."""
        self._docker.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """SIGTERM to the container's first process, which is java."""
        self._docker.stop(timeout=30)

    def kill(self) -> None:
        """SIGKILL to the container's first process."""
        self._docker.kill(signal="SIGKILL")
        self._docker.wait(timeout=30)

    def close(self) -> None:
        """Remove the container with its data."""
        atexit.unregister(self.close)
        with suppress(Exception):
            self._container.stop()
        if self._certificates is not None:
            self._certificates.cleanup()

    def log(self) -> str:
        """The last 60 lines the container wrote."""
        try:
            return str(self._docker.logs(tail=60).decode("utf-8", "replace"))
        except Exception as error:
            return f"(no log: {error!r})"

    def alive(self) -> bool:
        """Whether Docker says that the container runs."""
        self._docker.reload()
        return bool(self._docker.status in ("created", "running", "restarting"))


def start(*, secured: bool) -> ContainerNode:
    """Run the image and wait until it is ready. Testcontainers' reaper removes it even if this process is killed."""
    from testcontainers.core.container import DockerContainer

    for attempt in range(_PORT_ATTEMPTS):
        port = _free_port()
        container = (
            DockerContainer(IMAGE)
            .with_env("discovery.type", "single-node")
            .with_env("OPENSEARCH_JAVA_OPTS", f"-Xms{HEAP} -Xmx{HEAP}")
            # A nearly full disk of a runner would make every index read-only.
            .with_env("cluster.routing.allocation.disk.threshold_enabled", "false")
            .with_bind_ports(9200, port)
        )
        if secured:
            container = container.with_env("OPENSEARCH_INITIAL_ADMIN_PASSWORD", _PASSWORD)
        else:
            container = container.with_env("DISABLE_SECURITY_PLUGIN", "true").with_env(
                "DISABLE_INSTALL_DEMO_CONFIG", "true"
            )
        try:
            container.start()
        except Exception as error:
            with suppress(Exception):
                container.stop()
            # Another process took the port between our look and Docker's bind.
            taken = any(words in str(error) for words in ("port is already allocated", "address already in use"))
            if taken and attempt + 1 < _PORT_ATTEMPTS:
                continue
            raise NodeFailed(f"Docker did not start {IMAGE}: {error}") from error
        host = container.get_container_host_ip()
        # The image's own certificate is made for the name localhost.
        host = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
        node = ContainerNode(container, f"{'https' if secured else 'http'}://{host}:{port}")
        try:
            if secured:
                _wait_for_port(node, host, port)
                node.trust_demo_authority()
            node.wait_until_ready()
        except BaseException:
            node.close()
            raise
        return node
    raise NodeFailed(f"no free port for {IMAGE} in {_PORT_ATTEMPTS} attempts")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(node: ContainerNode, host: str, port: int) -> None:
    """Wait until the demo certificates are written: the image makes them before java opens its port."""
    import ssl
    import time

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with (
            suppress(OSError),
            socket.create_connection((host, port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return
        if not node.alive():
            break
        time.sleep(0.2)
    raise NodeFailed(f"the container never spoke TLS on {host}:{port}\n{node.log()}")
