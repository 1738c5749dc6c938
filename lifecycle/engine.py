"""Asking OpenSearch for what the lifecycle needs, with its errors as this project's (store/opensearch_errors.py)."""

from contextlib import AbstractContextManager

from store.opensearch_errors import asking as _asking

_NEEDS = (
    "the index permissions create_index, delete_index, monitor and manage on audit-*, "
    "and the cluster permission cluster:admin/opendistro/ism/*"
)


def asking(what: str) -> AbstractContextManager[None]:
    """Raise StoreUnavailable, saying what could not be done and which permissions it takes."""
    return _asking(what, needs=_NEEDS)
