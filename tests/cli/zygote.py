"""Runs the command again and again, each time in a forked process of its own: what it imports is imported once.

Reads one JSON request a line; answers with an exit code a line. Started by tests/cli/command.py.
"""

import json
import os
import sys
import traceback
from typing import Any

from cli.main import main


def run(request: dict[str, Any]) -> int:
    """Be the command, in this process, to its end."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        os.dup2(os.open(request[name], flags), number)
    sys.argv = ["trailkeeper", *request["arguments"]]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def serve() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            code = run(request)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
