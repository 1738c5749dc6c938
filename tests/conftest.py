"""The session's real nodes: each is started by the first test that asks for it and shared by all that follow.

Where none can be had the tests that need one skip with one line, or fail where TRAILKEEPER_REQUIRE_OPENSEARCH=1.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.nodes import Node, NodeUnavailable, has_ism, required, start_node, start_secured_node


def _started(start: Callable[[], Node]) -> Iterator[Node]:
    node, reason = None, ""
    try:
        node = start()
    except NodeUnavailable as error:
        reason = str(error)
    if node is None:
        if required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with node:
        yield node


@pytest.fixture(scope="session")
def opensearch_node() -> Iterator[Node]:
    """A node without security. Do not stop or kill it: others use it; `start_node(own=True)` is for that."""
    yield from _started(start_node)


@pytest.fixture(scope="session")
def opensearch_url(opensearch_node: Node) -> str:
    """Address of `opensearch_node`."""
    return opensearch_node.url


@pytest.fixture(scope="session")
def secured_node() -> Iterator[Node]:
    """A node with TLS and users: https `.url`, `.user`, `.password`, `.ca_file`."""
    yield from _started(start_secured_node)


@pytest.fixture(scope="session")
def ism(opensearch_node: Node) -> str:
    """Address of a node that has Index State Management; skips where `opensearch_node` has none."""
    auth = (opensearch_node.user, opensearch_node.password or "") if opensearch_node.user is not None else None
    if not has_ism(opensearch_node.url, auth=auth, ca_file=opensearch_node.ca_file):
        pytest.skip("needs ISM, a plugin of the full distribution: set OPENSEARCH_URL or start Docker")
    return opensearch_node.url
