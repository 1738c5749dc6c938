"""One node for all fault tests, their own to kill; a deployment for each, whose processes end with it."""

from collections.abc import Iterator

import pytest

from tests.faults.service import Deployment
from tests.nodes import Node, NodeUnavailable, required, start_node


@pytest.fixture(scope="session")
def fault_node() -> Iterator[Node]:
    try:
        node = start_node(own=True)
    except NodeUnavailable as reason:
        if required():
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    with node:
        yield node


@pytest.fixture
def deployment(fault_node: Node) -> Iterator[Deployment]:
    """A run of its own on the node, which is up."""
    if not fault_node.alive():
        fault_node.start()
    with Deployment(fault_node) as deployment:
        yield deployment
