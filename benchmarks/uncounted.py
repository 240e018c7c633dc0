"""`python -P uncounted.py ARGUMENT...`: the host of the bento on PYTHONPATH, with all that it counts taken out.

What stays is the look at a request's headers.
"""

from __future__ import annotations

import runpy
from typing import Any

from pipelines.serving.arms import Arms
from pipelines.serving.metrics import Metrics, Tally


class _Forgetful(dict[str, int]):
    """Keeps what it began with."""

    def __setitem__(self, key: str, value: int) -> None:
        pass


class _NoMetrics(Metrics):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.outcomes = _Forgetful(self.outcomes)


def _nothing(*_: Any) -> None:
    pass


def main() -> None:
    """Serve."""
    from pipelines.serving import replica

    vars(replica)["Metrics"] = _NoMetrics
    for place, name in ((Tally, "add"), (Arms, "of")):
        setattr(place, name, _nothing)
    runpy.run_module("pipelines.serving.host", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
