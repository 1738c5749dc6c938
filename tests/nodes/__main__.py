"""`python -m tests.nodes [--secured]`: start a node, print its URL, keep it until Ctrl-C or SIGTERM."""

import argparse
import signal
import sys

from tests.nodes import NodeFailed, NodeUnavailable, start_node, start_secured_node


def main() -> int:
    """Run until interrupted. Exit status 2 where no node can be had, 1 where one did not start."""
    parser = argparse.ArgumentParser(prog="python -m tests.nodes", description=__doc__)
    parser.add_argument("--secured", action="store_true", help="TLS, users and document-level security")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        node = start_secured_node() if arguments.secured else start_node(own=True)
    except NodeUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    except NodeFailed as error:
        print(error, file=sys.stderr)
        return 1
    with node:
        print(node.url, flush=True)
        if node.user is not None:
            print(f"user {node.user}, password {node.password}, CA {node.ca_file}", file=sys.stderr, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopping", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
