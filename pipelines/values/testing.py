"""What came of the tests of a model's notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Ended(StrEnum):
    """How a test ended; `skipped` also where an earlier cell raised."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class OneTest:
    """A cell of a notebook, or a test of a file.

    Args:
        file: The notebook or file, by its path in the project.
        name: `cell 3 (Train)`, or what pytest calls it.
        outcome: How it ended.
        says: Why it did not pass, in a line.
        seconds: How long it took.
    """

    file: str
    name: str
    outcome: Ended
    says: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The test as JSON."""
        return {
            "file": self.file,
            "name": self.name,
            "outcome": self.outcome.value,
            "says": self.says,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class ModelTested:
    """A model's tests.

    Args:
        model: The model.
        tests: Each, in the order in which they ran.
        page: The page with the executed notebooks; None where there is none yet.
    """

    model: str
    tests: tuple[OneTest, ...]
    page: Path | None = None

    @property
    def failed(self) -> tuple[OneTest, ...]:
        """Those that failed."""
        return tuple(test for test in self.tests if test.outcome is Ended.FAILED)

    @property
    def is_good(self) -> bool:
        """Whether something was tested and nothing failed."""
        return bool(self.tests) and not self.failed
