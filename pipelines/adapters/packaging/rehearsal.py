"""One function on real rows: whether it returns what it has to, and what it is told where it does not."""

from __future__ import annotations

import json
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.adapters.packaging import rows as validation_rows
from pipelines.adapters.packaging.attempts import BATCH, answers
from pipelines.adapters.packaging.graph import first_line
from pipelines.errors import BadRequest, BadServiceCode, ServiceCodeFailed
from pipelines.serving.outputs import Arrays
from pipelines.serving.service_code import Step
from pipelines.values import CODE_FOLDER, FunctionName, file_name

TRIAL_NAME = "trial.json"
TRIED_NAME = "tried.json"

_ALONE = 3
"""So many rows are answered alone as well, and have to be answered alike."""


@dataclass(frozen=True, slots=True)
class TrialJob:
    """What is to be tried.

    Args:
        bento: A source folder with manifest, model and functions; the manifest need not name those.
        rows: The file with the validation rows; None only loads the functions.
        raw: Example rows as clients send them, a request body; empty where they send what the model takes.
        seconds: How long each function may take in all.
        logged: The MLflow model folder of a version that is not packaged: there is no manifest and no model then, and
            only what stands before the model is tried.
    """

    bento: Path
    rows: Path | None
    raw: str = ""
    seconds: float = 20.0
    logged: Path | None = None

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`."""
        said = json.loads(path.read_text(encoding="utf-8"))
        places = {name: Path(said[name]) if said[name] else None for name in ("bento", "rows", "logged")}
        return cls(**{**said, **places})

    def path(self, name: FunctionName) -> Path:
        """Where a function lies, if it does."""
        return self.bento / CODE_FOLDER / file_name(name)


class Rehearsal:
    """One function on all rows: in batches, twice, and some rows alone."""

    def __init__(self, job: TrialJob, step: Step | None) -> None:
        assert step is not None  # noqa: S101
        self._job = job
        self._step = step
        self._name = step.name

    def carry_out(self, values: Arrays) -> Arrays:
        """What it returns for all rows.

        Raises:
            BadServiceCode: it raises, returns something else than it has to, changes what it is given, or answers a row
                now this way and now that.
        """
        with told(self._job, self._name, ""):
            whole = answers(_Calls(self._step), values)
            batch = {name: array[:BATCH] for name, array in values.items()}
            self._check_pure(batch)
            self._check_alone(values, whole)
        return whole

    def _check_pure(self, batch: Arrays) -> None:
        given = copied(batch)
        first = self._step(given, count(batch))
        for name in dict.fromkeys([*batch, *given]):
            if name not in batch or name not in given or not _same(batch[name], given[name]):
                raise BadServiceCode(
                    f"{self._name} changes {name!r}, which it was given, in place",
                    instead="others may still need it",
                    then="Begin with a copy of the array or the dictionary, or put the result into a new one.",
                )
        again = self._step(copied(batch), count(batch))
        for name, array in first.items():
            if not _same(array, again[name]):
                raise BadServiceCode(
                    f"{self._name} returns another {name!r} for the same rows when it is called again",
                    instead="the same rows have the same answer",
                    then="Take chance, time and memory out of it.",
                )

    def _check_alone(self, values: Arrays, whole: Arrays) -> None:
        for row in validation_rows.evenly(count(values), _ALONE):
            alone = self._step({name: array[row : row + 1].copy() for name, array in values.items()}, 1)
            for name, array in whole.items():
                if not _near(array[row : row + 1], alone[name]):
                    raise BadServiceCode(
                        f"{self._name} returns another {name!r} for row {row} when that row comes alone",
                        instead="each row is computed by itself, whatever else is in the request",
                        then="Write statistics of the data, such as a mean, into the cell as constants.",
                    )


class _Calls:
    """A function as `answers` calls a model."""

    takes_threads = True

    def __init__(self, step: Step) -> None:
        self._step = step

    def predict(self, arrays: Arrays) -> Arrays:
        """The function on a batch."""
        return self._step(copied(arrays), count(arrays))


def count(values: Arrays) -> int:
    """How many rows there are."""
    return len(next(iter(values.values())))


def copied(values: Arrays) -> Arrays:
    """Arrays of one's own."""
    return {name: array.copy() for name, array in values.items()}


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind in "fM":
        return bool(np.array_equal(one, other, equal_nan=True))
    return bool(np.array_equal(one, other))


def _near(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind != "f":
        return _same(one, other)
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))


class _TooLong(BaseException):
    """A function has not returned in time; no `except Exception` of its own may hold this up."""


@contextmanager
def told(job: TrialJob, name: FunctionName, when: str) -> Iterator[None]:
    """Say what a function did wrong, with its line."""
    try:
        with _at_most(job.seconds):
            yield
    except BadServiceCode:
        raise
    except _TooLong as error:
        raise BadServiceCode(
            f"{_place(job, name, error)} has not returned after {job.seconds:g} seconds",
            instead="all the rows together take less",
        ) from None
    except ServiceCodeFailed as failed:
        raise _refusal(job, name, failed.__cause__ or failed, "on real rows") from failed
    except (Exception, SystemExit) as error:
        raise _refusal(job, name, error, when) from error


def _refusal(job: TrialJob, name: FunctionName, error: BaseException, when: str) -> BadServiceCode:
    line = _line(job, name, error)
    if line is None and isinstance(error, ValueError) and not isinstance(error, BadRequest):
        return BadServiceCode(f"what {name} returns does not fit: {first_line(error)}")
    said = f"{type(error).__name__}: {first_line(error)}".rstrip(": ")
    return BadServiceCode(f"{_place(job, name, error)} raised {said}" + (f", {when}" if when else ""))


def _place(job: TrialJob, name: FunctionName, error: BaseException) -> str:
    line = _line(job, name, error)
    return name if line is None else f"line {line} of {name}"


def _line(job: TrialJob, name: FunctionName, error: BaseException) -> int | None:
    """The last line of the function's file that was at work."""
    path = str(job.path(name))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else None


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def give_up(signum: int, frame: Any) -> None:
        del signum, frame
        raise _TooLong

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
