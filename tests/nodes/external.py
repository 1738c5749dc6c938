"""A cluster somebody named in OPENSEARCH_URL: used as it is, never stopped.

`https://user:password@host:9200` carries credentials; OPENSEARCH_CA_FILE names the authority of its certificate.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.nodes.handle import Node, NotOurs

CA_VARIABLE = "OPENSEARCH_CA_FILE"


class ExternalNode(Node):
    """OPENSEARCH_URL's cluster."""

    controllable = False

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"OPENSEARCH_URL is http(s)://[user:password@]host[:port], not {url!r}")
        address = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{address}{parts.path.rstrip('/')}"
        if parts.username is not None:
            self.user = unquote(parts.username)
            self.password = unquote(parts.password or "")
        ca_file = os.environ.get(CA_VARIABLE)
        self.ca_file = Path(ca_file) if ca_file else None
        self.wait_until_ready(60.0)

    def start(self) -> None:
        """Not ours to start."""
        raise NotOurs(f"{self.url} is not ours to start; use start_node(own=True)")

    def stop(self) -> None:
        """Not ours to stop."""
        raise NotOurs(f"{self.url} is not ours to stop; use start_node(own=True)")

    def kill(self) -> None:
        """Not ours to kill."""
        raise NotOurs(f"{self.url} is not ours to kill; use start_node(own=True)")

    def close(self) -> None:
        """Leave it running, with whatever the tests did not clean up."""

    def log(self) -> str:
        """Its log is elsewhere."""
        return f"(the log of {self.url} is where it runs)"

    def alive(self) -> bool:
        """Assumed: only its answers can tell."""
        return True
