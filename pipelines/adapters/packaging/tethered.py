"""`python -P tethered.py MODULE ARGUMENT...`: what `python -m MODULE ARGUMENT...` does, as long as the parent lives.

The standard input is a pipe from the parent. When it ends, at the latest because the parent is gone, this process is
asked to end, and made to ten seconds later.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

_GRACE_SECONDS = 10.0


def end_with_input() -> None:
    """Wait for the end of the standard input; then end this process."""
    # Not through sys.stdin: a thread that reads that holds a lock which the interpreter needs in order to end.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
