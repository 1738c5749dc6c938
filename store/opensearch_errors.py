"""What opensearch-py raises, as this project's errors: the one place for it, the layers above included.

    with asking("write the policy trailkeeper-90d", needs="the cluster permission cluster:admin/opendistro/ism/*"):
        client.transport.perform_request(…)

Each error says what was asked, what came, in the engine's own words, and what to do. No password can be in it: addresses
here are hosts and ports.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,
    ConnectionTimeout,
    OpenSearchException,
    SSLError,
    TransportError,
)

from audit.errors import StoreUnavailable


@contextmanager
def asking(what: str, *, needs: str) -> Iterator[None]:
    """Raise StoreUnavailable for every error of a call that nobody caught inside.

    `what` completes "OpenSearch could not …", `needs` completes "Give the user …" where the engine answers 403.
    """
    try:
        yield
    except OpenSearchException as error:
        raise _explained(error, f"OpenSearch could not {what}: it", needs) from error


def unavailable(error: OpenSearchException, address: str, *, needs: str) -> StoreUnavailable:
    """Say what went wrong at an address, and what to do."""
    return _explained(error, f"OpenSearch at {address}", needs)


def words(error: OpenSearchException) -> str:
    """The engine's own words for an error, without a full stop at their end."""
    if not isinstance(error, TransportError):
        return str(error).rstrip(".")
    told = error.info.get("error") if isinstance(error.info, Mapping) else None
    text = reason(told) if isinstance(told, Mapping) else told if isinstance(told, str) else error.error
    return f"{error.status_code} {text}".rstrip(".")


def reason(error: Mapping[str, Any]) -> str:
    """Put an error object of the engine in one line, with its innermost cause."""
    line = ": ".join(str(error[part]) for part in ("type", "reason") if error.get(part))
    causes = error.get("failed_shards") or []
    cause = error.get("caused_by") or (causes[0].get("reason") if causes else None)
    return f"{line} ({reason(cause)})" if isinstance(cause, Mapping) else line


def kind_of(error: TransportError) -> str:
    """Give the type of the engine's error, like resource_already_exists_exception; or its plain text."""
    return str(error.error)


def _explained(error: OpenSearchException, who: str, needs: str) -> StoreUnavailable:
    if isinstance(error, SSLError):
        return StoreUnavailable(
            f"{who} shows a certificate that does not hold ({error.error}).",
            fix="Set TRAILKEEPER_STORE_CA_FILE to the CA that signed it.",
        )
    if isinstance(error, ConnectionTimeout):
        return StoreUnavailable(
            f"{who} did not answer in time.", fix="Look at its load, or raise TRAILKEEPER_STORE_TIMEOUT_SECONDS."
        )
    if isinstance(error, ConnectionError):
        return StoreUnavailable(
            f"{who} can't be reached.", fix="Start it, or mend TRAILKEEPER_STORE_URL.", retry_after=1
        )
    if isinstance(error, AuthenticationException):
        return StoreUnavailable(
            f"{who} refuses our user or password.",
            fix="Mend TRAILKEEPER_STORE_URL or TRAILKEEPER_STORE_PASSWORD.",
        )
    if isinstance(error, AuthorizationException):
        return StoreUnavailable(f"{who} does not permit this: {words(error)}.", fix=f"Give the user {needs}.")
    return StoreUnavailable(f"{who} answered with an error: {words(error)}.", retry_after=1)
