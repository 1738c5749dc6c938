"""A client for the session's node, without any template of ours before a test and with them after it."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from index_templates import AUDIT, MAPPINGS, SETTINGS
from index_templates.loader import prepare
from tests.nodes import Node

TEST_INDICES = "audit-1d-1999.*"
"""Days that no other test uses: another's indices on the same node stay as they are."""


@pytest.fixture(scope="session")
def raw_client(opensearch_node: Node) -> Iterator[OpenSearch]:
    auth = (opensearch_node.user, opensearch_node.password or "") if opensearch_node.user else None
    ca_file = str(opensearch_node.ca_file) if opensearch_node.ca_file else None
    with OpenSearch(opensearch_node.url, http_auth=auth, ca_certs=ca_file, timeout=60) as client:
        yield client


@pytest.fixture
def client(raw_client: OpenSearch) -> Iterator[OpenSearch]:
    _remove_templates(raw_client)
    yield raw_client
    raw_client.indices.delete(index=TEST_INDICES)
    _remove_templates(raw_client)
    prepare(raw_client)


@pytest.fixture(scope="module")
def day(raw_client: OpenSearch) -> Iterator[str]:
    """One day's index, made from our templates and shared by a module: its tests write events of their own."""
    prepare(raw_client)
    name = "audit-1d-1999.12.31"
    raw_client.indices.create(index=name)
    yield name
    raw_client.indices.delete(index=TEST_INDICES)


def _remove_templates(client: OpenSearch) -> None:
    client.indices.delete_index_template(name=AUDIT, ignore=404)
    for name in (SETTINGS, MAPPINGS):
        client.cluster.delete_component_template(name=name, ignore=404)
