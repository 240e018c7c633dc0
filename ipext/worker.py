"""`python -m ipext.worker FOLDER VERB ...`: one command for a handle in a notebook, told line by line as JSON.

Each line is `{"step": TEXT}` or `{"cell": {...}}`, and the last one the outcome: `{"ok": ..., "str": ..., "json": ...,
"text": ..., "html": ...}` or `{"error": {...}}`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.ports import CellProgress


class Teller:
    """Implements `ports.Reporter`.

    Args:
        stream: A file descriptor.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream

    def step(self, text: str) -> None:
        """Tell it."""
        self.say({"step": text})

    def cell(self, progress: CellProgress) -> None:
        """Tell it."""
        self.say({"cell": asdict(progress)})

    def say(self, what: dict[str, Any]) -> None:
        """One line; whoever listened may be gone, and the work goes on."""
        try:
            os.write(self._stream, json.dumps(what).encode() + b"\n")
        except OSError:
            return


def main(arguments: list[str]) -> int:
    """Run the command; return 0 when it succeeded."""
    import click

    from pipelines.app import App
    from pipelines.cli import Session, as_turnout, main_group
    from pipelines.errors import TurnoutError

    folder, *words = arguments
    # Whatever prints must not get between our lines.
    teller = Teller(os.dup(1))
    os.dup2(2, 1)
    session = Session(App(Path(folder), teller), lambda view: teller.step(view.text()))
    try:
        view = main_group.main(words, prog_name="turnout", standalone_mode=False, obj=session)
    except (TurnoutError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
        teller.say({"error": as_turnout(error).as_dict()})
        return 1
    if view is None or isinstance(view, int):
        teller.say({"ok": True, "str": "", "json": {}, "text": "", "html": ""})
        return 0
    teller.say({"ok": view.ok, "str": str(view), "json": view.json(), "text": view.text(), "html": view.html()})
    return 0 if view.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
