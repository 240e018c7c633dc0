"""Runs a bento's own copy of the host in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipelines.errors import BadInput, ServeFailed


class ForegroundHosts:
    """Implements `ports.Hosts` with a child process; Ctrl-C and SIGTERM reach it, and it stops gracefully."""

    def serve(self, sources: Path, port: int) -> None:
        """Run `python -m pipelines.serving.host` from the bento's folder, so that the bento's code serves."""
        if not 0 <= port < 65536:
            raise BadInput(f"the port is {port}", instead="a port lies between 1 and 65535; 0 takes a free one")
        command = [sys.executable, "-m", "pipelines.serving.host", "--bento", str(sources), "--port", str(port)]
        # PYTHONPATH goes before site-packages: the bento's `pipelines` wins over the installed one.
        environment = {**os.environ, "PYTHONPATH": str(sources)}
        host = subprocess.Popen(command, cwd=sources, env=environment)  # noqa: S603 - our own command
        before = signal.signal(signal.SIGTERM, lambda *_: host.terminate())
        try:
            code = _wait(host)
        finally:
            signal.signal(signal.SIGTERM, before)
            if host.poll() is None:
                host.kill()
        if code not in {0, -signal.SIGINT, -signal.SIGTERM, 130}:
            raise ServeFailed(
                f"the host of {sources} ended with exit code {code}", then="What it said stands above this line."
            )


def _wait(host: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return host.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the host as well, which is finishing its requests.
            continue
