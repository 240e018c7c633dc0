"""`python -m tests.adapters.packaging.command STATE MODEL ROWS NUMBER [BYTES]`: one package command as a process.

Prints the record, or the error, as JSON. With BYTES no file may grow longer than that: a stand-in for a full disk.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from pipelines.adapters.packaging import BentoPackager
from pipelines.errors import TurnoutError
from tests.adapters.packaging.logged import Logged


def main() -> None:
    """Package once."""
    state, model, rows = (Path(text) for text in sys.argv[1:4])
    if len(sys.argv) > 5:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), int(sys.argv[5])))
    try:
        job = Logged(model, rows).job(number=int(sys.argv[4]))
        said = BentoPackager(state, state.parent).package(job, lambda _: None).as_dict()
    except TurnoutError as error:
        said = error.as_dict()
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
