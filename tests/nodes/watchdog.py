"""Kills a node's processes and removes its folder when the process that started it is gone, however it went.

atexit does not run after SIGKILL, and Linux's parent-death signal fires when the starting *thread* ends. A pipe knows
better: its write end closes with the last process that holds it. Run as a script, with the standard library alone:

    python watchdog.py FOLDER      stdin: "<process group>\\n" at each start, "0\\n" when it has ended; EOF: clean up
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


class Watchdog:
    """The other end of the pipe."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at the terminal is for the tests, not for their watchdog
        )

    def watch(self, group: int) -> None:
        """From now on, this process group dies with us; 0 for none."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{group}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """Let it clean up now, and wait for that."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=60)


def _main(folder: str) -> None:
    group = 0
    for line in sys.stdin.buffer:
        group = int(line)
    if group:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main(sys.argv[1])
