"""Try functions out on real rows, in a process of their own.

`python -m pipelines.adapters.packaging.trial FOLDER` reads `FOLDER/trial.json` and writes `FOLDER/tried.json`. A
function may run for ever, end its process or fill the memory: none of this is to happen in the one that asked.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.adapters.packaging import raw_rows
from pipelines.adapters.packaging import rows as validation_rows
from pipelines.adapters.packaging.attempts import BATCH, answers
from pipelines.adapters.packaging.graph import first_line
from pipelines.adapters.packaging.job import error_as_json
from pipelines.adapters.packaging.worker import end_with_parent
from pipelines.errors import BadRequest, BadServiceCode, ServiceCodeFailed, TurnoutError
from pipelines.serving.model import load_model
from pipelines.serving.outputs import Arrays
from pipelines.serving.service_code import Function, Step, describe_type, load_function, steps
from pipelines.values import (
    CODE_FOLDER,
    FUNCTIONS,
    POSTPROCESS,
    PREPROCESS,
    Field,
    FunctionName,
    Manifest,
    ServiceCode,
    Signature,
    Task,
    file_name,
)

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
    """

    bento: Path
    rows: Path | None
    raw: str = ""
    seconds: float = 20.0

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`."""
        said = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**said, "bento": Path(said["bento"]), "rows": Path(said["rows"]) if said["rows"] else None})


def main() -> None:
    """Do the job in the folder given as the only argument."""
    folder = Path(sys.argv[1])
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        result = carry_out(TrialJob.read(folder / TRIAL_NAME))
    except TurnoutError as error:
        result = error_as_json(error)
    unfinished = folder / f"{TRIED_NAME}.part"
    unfinished.write_text(json.dumps(result), encoding="utf-8")
    unfinished.replace(folder / TRIED_NAME)


def carry_out(job: TrialJob) -> dict[str, Any]:
    """Load the functions and have them answer the rows.

    Returns:
        `interface` (a Signature), `rows` (how many), and `warmup`: up to 16 rows as clients send them, or None where
        they are the model's own.

    Raises:
        BadServiceCode: a function does not do what it has to; the message names its line and the cause.
    """
    manifest = Manifest.read(job.bento)
    manifest = replace(manifest, service_code=None)
    functions = _load(job)
    signature = manifest.signature
    warmup = None
    if job.raw and PREPROCESS in functions:
        sent, interface, values = raw_rows.read(job.raw, signature)
        warmup = [sent[place] for place in validation_rows.evenly(len(sent), validation_rows.WARMUP_ROWS)]
    elif job.rows is None:
        return {"interface": signature.as_dict(), "rows": 0, "warmup": None}
    else:
        interface, values = signature, _validation_rows(job.rows, signature)
    manifest = replace(manifest, service_code=ServiceCode(interface))
    outputs = None
    if PREPROCESS in functions:
        values = _Trial(job, steps(functions, manifest)[0]).carry_out(values)
    if manifest.flavour == "onnx" or POSTPROCESS in functions:
        outputs = _ask_model(job.bento, manifest, values)
    if POSTPROCESS in functions and outputs is not None:
        interface = _answering(job, functions, manifest, outputs)
        manifest = replace(manifest, service_code=ServiceCode(interface))
        _Trial(job, steps(functions, manifest)[1]).carry_out(outputs)
    return {"interface": interface.as_dict(), "rows": _count(values), "warmup": warmup}


def _count(values: Arrays) -> int:
    return len(next(iter(values.values())))


def _path(job: TrialJob, name: FunctionName) -> Path:
    return job.bento / CODE_FOLDER / file_name(name)


def _load(job: TrialJob) -> dict[FunctionName, Function]:
    found: dict[FunctionName, Function] = {}
    for name in FUNCTIONS:
        path = _path(job, name)
        if path.is_file():
            with _told(job, name, "when it is loaded"):
                found[name] = load_function(path, name, path.read_text(encoding="utf-8"))
    return found


def _validation_rows(path: Path, signature: Signature) -> Arrays:
    texts = [field.name for field in signature.inputs if field.dtype == "string"]
    values = validation_rows.arrays(validation_rows.read(path, texts), signature.inputs, path.name)
    kept = validation_rows.carried(values, signature.inputs)
    return {name: array[kept] for name, array in values.items()}


def _ask_model(folder: Path, manifest: Manifest, values: Arrays) -> Arrays:
    bare = replace(manifest, service_code=None)
    try:
        outputs = answers(load_model(folder, bare), values)
    except TurnoutError as error:
        raise BadServiceCode(f"the model cannot answer what {PREPROCESS} returned: {error.what}") from error
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise BadServiceCode(f"the model cannot answer what {PREPROCESS} returned: {said}") from error
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BadServiceCode(f"the model's {name!r} is not finite for some of the rows", then="Look at its inputs.")
    return outputs


def _answering(
    job: TrialJob, functions: Mapping[FunctionName, Function], manifest: Manifest, outputs: Arrays
) -> Signature:
    """The interface with the outputs that `postprocess` shows."""
    (_, step) = steps(functions, manifest)
    batch = {name: array[:BATCH] for name, array in outputs.items()}
    with _told(job, POSTPROCESS, f"on {_count(batch)} rows"):
        raw = step.raw(_copy(batch)) if step else None
    known = manifest.signature.outputs
    if isinstance(raw, Mapping):
        fields = tuple(_answer_field(name, value, known) for name, value in raw.items())
    else:
        fields = (_answer_field(known[0].name if len(known) == 1 else "", raw, known),)
    if not fields:
        raise BadServiceCode(f"{POSTPROCESS} returned an empty dictionary", instead="it has an output a row at least")
    interface = manifest.interface
    if fields == known:
        return replace(interface, outputs=fields)
    return replace(interface, outputs=fields, task=Task.OTHER, classes=())


def _answer_field(name: Any, value: Any, known: tuple[Field, ...]) -> Field:
    if not isinstance(name, str):
        raise BadServiceCode(f"{POSTPROCESS} returned a field named {name!r}", instead="a name is a text")
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.array(None)
    if array.ndim == 0:
        raise BadServiceCode(
            f"{POSTPROCESS} returned {describe_type(value)}" + (f" for {name!r}" if name else ""),
            instead="it returns an array with a row for each row, or a dictionary of such",
        )
    field = Field(name or "outputs", _dtype(array, name), array.shape[1:])
    if field in known:
        return field
    # A single output that means something else now has no use for the old name.
    return replace(field, name="outputs") if len(known) == 1 and name == known[0].name else field


def _dtype(array: NDArray[Any], name: str) -> str:
    kind = array.dtype.kind
    if kind == "O":
        kinds = {type(value) for value in array.ravel()}
        kind = "U" if kinds == {str} else "b" if kinds <= {bool, np.bool_} else "O"
    if kind in "UM" and array.ndim > 1:
        kind = "O"
    if kind in "iuf" and array.dtype.itemsize <= np.dtype(np.int64).itemsize:
        return "float32" if array.dtype == np.float16 else str(array.dtype)
    if kind not in "bUM":
        raise BadServiceCode(
            f"{POSTPROCESS} returned {name or 'something'!r} of the type {array.dtype}",
            instead="an answer has numbers, booleans, or one text or date a row",
        )
    return {"b": "bool", "U": "string", "M": "datetime"}[kind]


class _Trial:
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
        with _told(self._job, self._name, ""):
            whole = answers(_Calls(self._step), values)
            batch = {name: array[:BATCH] for name, array in values.items()}
            self._check_pure(batch)
            self._check_alone(values, whole)
        return whole

    def _check_pure(self, batch: Arrays) -> None:
        given = _copy(batch)
        first = self._step(given, _count(given))
        for name, array in batch.items():
            if not _same(array, given[name]):
                raise BadServiceCode(
                    f"{self._name} changes {name!r}, which it was given, in place",
                    instead="others may still need it",
                    then=f"Begin with a copy, such as `{name}.copy()`, or write the result to a new array.",
                )
        again = self._step(_copy(batch), _count(batch))
        for name, array in first.items():
            if not _same(array, again[name]):
                raise BadServiceCode(
                    f"{self._name} returns another {name!r} for the same rows when it is called again",
                    instead="the same rows have the same answer",
                    then="Take chance, time and memory out of it.",
                )

    def _check_alone(self, values: Arrays, whole: Arrays) -> None:
        for row in validation_rows.evenly(_count(values), _ALONE):
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
        return self._step(_copy(arrays), _count(arrays))


def _copy(values: Arrays) -> Arrays:
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
def _told(job: TrialJob, name: FunctionName, when: str) -> Iterator[None]:
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
    path = str(_path(job, name))
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


if __name__ == "__main__":
    main()
