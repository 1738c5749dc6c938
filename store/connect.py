"""Opening the store that TRAILKEEPER_STORE_URL names, and the one place where an OpenSearch client is made.

sqlite:///trailkeeper.sqlite             a file, relative to where the service was started
sqlite:////var/lib/trailkeeper.sqlite    a file, absolute
opensearch://localhost:9200              one host or several: opensearch://one:9200,two:9200
opensearch+https://user:pass@host:9200   the same over TLS
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from audit.errors import ConfigurationError
from audit.settings import Settings
from store.protocol import Store

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from store.opensearch_bulk import DayOpener

VARIABLE = "TRAILKEEPER_STORE_URL"
_PORT = 9200
_AWS_PORT = 443
# Connections kept to each host: as many threads as usually ask at once.
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """A file."""

    path: Path


@dataclass(frozen=True, slots=True)
class OpenSearchUrl:
    """A cluster: its hosts with their ports, and who we are to it."""

    hosts: tuple[tuple[str, int | None], ...]
    tls: bool
    user: str | None
    password: str | None


def parse_store_url(url: str) -> SqliteUrl | OpenSearchUrl:
    """Read a store's URL. Raises ConfigurationError, which never repeats a password."""
    scheme, found, rest = url.partition("://")
    if not found:
        raise _wrong("has no scheme")
    if scheme == "sqlite":
        if not rest.startswith("/") or len(rest) < 2:
            raise _wrong(
                "names no file (there are three slashes before a relative path, and four before an absolute one)"
            )
        if "?" in rest or "#" in rest:
            raise _wrong("takes no parameters")
        return SqliteUrl(Path(unquote(rest[1:])))
    if scheme in ("opensearch", "opensearch+https"):
        return _parse_hosts(rest, tls=scheme == "opensearch+https")
    raise _wrong(f"has the scheme {scheme!r}, which no engine has")


def connect(settings: Settings) -> "OpenSearch":
    """Make the client of the cluster that the settings name. Nothing is sent yet.

    Raises ConfigurationError naming the setting that can't work.
    """
    from opensearchpy import OpenSearch, Urllib3HttpConnection

    url = parse_store_url(settings.store_url)
    if not isinstance(url, OpenSearchUrl):
        raise _wrong("names no OpenSearch cluster")
    port = _AWS_PORT if settings.store_aws_region is not None else _PORT
    options: dict[str, Any] = {}
    if url.tls:
        if settings.store_ca_file is not None and not settings.store_ca_file.is_file():
            raise ConfigurationError(
                f"The CA file {settings.store_ca_file} can't be read.",
                field="TRAILKEEPER_STORE_CA_FILE",
                fix="Name a PEM file with the CA that signed OpenSearch's certificate.",
            )
        options = {
            "use_ssl": True,
            "verify_certs": settings.store_verify,
            # Not checking was asked for: said once at the start, not at every connection.
            "ssl_show_warn": False,
            "ssl_assert_hostname": None if settings.store_verify else False,
            "ca_certs": str(settings.store_ca_file) if settings.store_ca_file is not None else None,
        }
    return OpenSearch(
        hosts=[{"host": host, "port": given or port} for host, given in url.hosts],
        http_auth=_auth(settings, url),
        connection_class=Urllib3HttpConnection,
        pool_maxsize=_CONNECTIONS,
        timeout=settings.store_timeout_seconds,
        # A connection that was closed while idle, or a host that is away, is tried once more elsewhere. Every request here
        # may be sent twice: writes create by id. What the engine itself says is for the caller, who knows how long to wait.
        max_retries=max(1, len(url.hosts) - 1),
        retry_on_status=(),
        # opensearch-py compresses at gzip's highest level: on one core that is slower than the network it saves.
        http_compress=False,
        **options,
    )


def open_store(
    settings: Settings,
    *,
    open_day: "Callable[[OpenSearch], DayOpener] | None" = None,
    forget_day: "Callable[[OpenSearch], DayOpener] | None" = None,
) -> Store:
    """Open the store that the settings name.

    `open_day` is given the client and returns what makes a day's index (lifecycle/); `forget_day` likewise what is told of
    an index that is gone. Only OpenSearch needs them. Raises ConfigurationError.
    """
    url = parse_store_url(settings.store_url)
    if isinstance(url, SqliteUrl):
        from store.sqlite import SqliteStore

        return SqliteStore(url.path, log_id=settings.log_id)
    from store.opensearch import OpenSearchStore

    if open_day is None:
        raise TypeError("an OpenSearch store needs open_day")
    client = connect(settings)
    return OpenSearchStore(
        client, open_day=open_day(client), forget_day=None if forget_day is None else forget_day(client)
    )


def _parse_hosts(rest: str, *, tls: bool) -> OpenSearchUrl:
    credentials, _, hosts = rest.rpartition("@")
    user, separator, password = credentials.partition(":")
    found: list[tuple[str, int | None]] = []
    for host in hosts.removesuffix("/").split(","):
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname, parts.port
        except ValueError:
            raise _wrong("has a port that is no number") from None
        if not name or parts.path or parts.query or parts.fragment:
            raise _wrong("names hosts and ports alone, like one:9200,two:9200")
        found.append((name, port))
    return OpenSearchUrl(tuple(found), tls, unquote(user) or None, unquote(password) if separator else None)


def _auth(settings: Settings, url: OpenSearchUrl) -> Any:
    """Who we are: a user and password, or a signature per request."""
    if settings.store_aws_region is not None:
        return _signature(settings)
    if url.user is None:
        return None
    password = url.password
    if password is None and settings.store_password is not None:
        password = settings.store_password.get_secret_value()
    if password is None:
        raise ConfigurationError(
            f"There is a user {url.user!r} and no password for OpenSearch.",
            field="TRAILKEEPER_STORE_PASSWORD",
            fix="Set TRAILKEEPER_STORE_PASSWORD, or TRAILKEEPER_STORE_PASSWORD_FILE.",
        )
    return (url.user, password)


def _signature(settings: Settings) -> Any:
    try:
        import boto3
    except ImportError:
        raise ConfigurationError(
            "TRAILKEEPER_STORE_AWS_REGION is set, and boto3, which finds the credentials, is not installed.",
            field="TRAILKEEPER_STORE_AWS_REGION",
            fix="Install trailkeeper-server[aws].",
        ) from None
    from opensearchpy import Urllib3AWSV4SignerAuth

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise ConfigurationError(
            "TRAILKEEPER_STORE_AWS_REGION is set, and there are no AWS credentials.",
            field="TRAILKEEPER_STORE_AWS_REGION",
            fix="Give this process a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    return Urllib3AWSV4SignerAuth(credentials, settings.store_aws_region, settings.store_aws_service)


def _wrong(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{VARIABLE} {why}.",
        field=VARIABLE,
        fix="Write it like sqlite:///trailkeeper.sqlite, opensearch://host:9200 or opensearch+https://user@host:9200.",
    )
