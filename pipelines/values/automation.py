"""What a model does by itself, and how its notebooks are tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Automation:
    """When a model is shipped by `turnout watch`, and what `turnout test` runs.

    Args:
        schedule: A cron expression, such as `0 3 * * *`; empty for none.
        after: Models whose promotion has this one shipped; it is shipped behind them where several are.
        test_parameters: Parameters of the training notebook while it is tested, over those of every day.
        tests: Files and folders for pytest, relative to the project; empty for the usual places.
    """

    schedule: str = ""
    after: tuple[str, ...] = ()
    test_parameters: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    tests: tuple[str, ...] = ()
