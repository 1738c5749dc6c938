"""Which node a run gets: OPENSEARCH_URL, else Docker, else Maven Central's artifact; else a line that says why none.

`TRAILKEEPER_REQUIRE_OPENSEARCH=1` (CI) turns the skip into a failure, so that a green run has met a real node.
"""

import os

from tests.nodes import container, process
from tests.nodes.external import ExternalNode
from tests.nodes.handle import Node, NodeUnavailable

URL_VARIABLE = "OPENSEARCH_URL"
REQUIRE_VARIABLE = "TRAILKEEPER_REQUIRE_OPENSEARCH"


def required() -> bool:
    """Whether a run without a node is a failure rather than a skip."""
    return os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")


def start_node(*, own: bool = False) -> Node:
    """Start, or reach, a node without security; ready when this returns.

    own: never OPENSEARCH_URL's, for tests that kill the node or need it empty.
    Raises NodeUnavailable (nothing here can run one) or NodeFailed (it did not come up).
    """
    url = os.environ.get(URL_VARIABLE, "")
    if url and not own:
        return ExternalNode(url)
    return _start(secured=False)


def start_secured_node() -> Node:
    """Start a node with TLS, users and document-level security; ready when this returns.

    Always one of our own, also where OPENSEARCH_URL is set: these tests make users and roles, which nobody wants in
    their cluster. Raises as start_node does.
    """
    return _start(secured=True)


def _start(*, secured: bool) -> Node:
    if container.engine_answers():
        return container.start(secured=secured)
    try:
        return process.start(secured=secured)
    except NodeUnavailable as reason:
        raise NodeUnavailable(
            f"no OpenSearch for the tests: set {URL_VARIABLE}, or start Docker, or {reason}"
        ) from reason
