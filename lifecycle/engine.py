"""One place that turns what opensearch-py raises into this project's errors, and reads what the engine said."""

from collections.abc import Iterator
from contextlib import contextmanager

from opensearchpy.exceptions import OpenSearchException, TransportError

from audit.errors import StoreUnavailable

_SAYS_NO = {
    401: "Check the user and the password of TRAILKEEPER_STORE_URL.",
    403: "Give the user the index permissions create_index, delete_index, monitor and manage on audit-*, and the "
    "cluster permission cluster:admin/opendistro/ism/*.",
}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Raise StoreUnavailable, with the engine's own words, for every error of a call that nobody caught inside."""
    try:
        yield
    except OpenSearchException as error:
        status = status_of(error)
        raise StoreUnavailable(
            f"OpenSearch could not {what}: {words(error)}.", fix=_SAYS_NO.get(status or 0)
        ) from error


def status_of(error: OpenSearchException) -> int | None:
    """Give the HTTP status that came, None where no answer came at all."""
    status = error.status_code if isinstance(error, TransportError) else None
    return status if isinstance(status, int) else None


def kind_of(error: TransportError) -> str:
    """Give the type of the engine's error, like resource_already_exists_exception; or its plain text."""
    return str(error.error)


def words(error: OpenSearchException) -> str:
    """Give the reason as the engine wrote it, without a full stop at its end."""
    if isinstance(error, TransportError) and isinstance(error.info, dict):
        told = error.info.get("error")
        text = told.get("reason") if isinstance(told, dict) else told
        if text:
            return f"{status_of(error)} {text}".rstrip(".")
    return str(error).rstrip(".")
