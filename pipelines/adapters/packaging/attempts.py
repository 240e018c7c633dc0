"""Export a loaded model in one way after another, until an export answers as the original does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.adapters.packaging.exporters import EXPORTERS
from pipelines.adapters.packaging.graph import finish, first_line, tensor_names
from pipelines.adapters.packaging.parity import prove
from pipelines.adapters.packaging.schema import as_exported
from pipelines.errors import ExportFailed
from pipelines.serving.model import ONNX_FILE, Model, OnnxModel
from pipelines.serving.native import NativeModel
from pipelines.serving.outputs import Arrays
from pipelines.values import Manifest, Parity, Signature

BATCH = 1024
"""How many rows a model is asked for at once."""
_GAP_ROWS = 16


@dataclass(frozen=True, slots=True)
class Question:
    """Rows, and what the original answers.

    Args:
        about: What is special about them, for messages.
        values: By input field.
        expected: By output field.
    """

    about: str
    values: Arrays
    expected: Arrays


@dataclass(frozen=True, slots=True)
class Original:
    """A model as it was trained.

    Args:
        model: The loaded model.
        flavour: Its MLflow flavour.
        signature: Its own signature.
        questions: The validation rows with its answers.
    """

    model: Any
    flavour: str
    signature: Signature
    questions: list[Question]


def answers(model: Model, values: Arrays) -> Arrays:
    """What a model answers for all rows. The first row goes alone: a graph of one fixed batch size so shows itself."""
    parts = [model.predict({name: array[batch] for name, array in values.items()}) for batch in _batches(values)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batches(values: Arrays) -> Iterator[slice]:
    rows = len(next(iter(values.values())))
    yield slice(0, 1)
    for start in range(1, rows, BATCH):
        yield slice(start, min(start + BATCH, rows))


def export(manifest: Manifest, original: Original, folder: Path, seconds: float) -> Manifest:
    """Export the model and prove the export.

    Args:
        manifest: The original's.
        original: The model.
        folder: Where `model.onnx` goes.
        seconds: How long one attempt may take.

    Returns:
        The manifest of the first export that is equal.

    Raises:
        ExportFailed: there is none; the reason is that of the first attempt, which a person would expect to work.
    """
    folder.mkdir(exist_ok=True)
    questions = [*original.questions, *_gaps(original)]
    failures = []
    for precision in EXPORTERS[original.flavour].precisions:
        try:
            with _at_most(seconds):
                return _attempt(manifest, original, questions, folder / ONNX_FILE, precision)
        except ExportFailed as error:
            failures.append(error)
    raise failures[0]


def _gaps(original: Original) -> list[Question]:
    """For each optional column, real rows without a value there: clients may send such, validation rows need not."""
    native = NativeModel.wrap(original.model, original.flavour, original.signature)
    values = {name: array[:_GAP_ROWS] for name, array in original.questions[0].values.items()}
    found = []
    for field in original.signature.inputs:
        if not field.required:
            asked = {**values, field.name: _missing(values[field.name])}
            # An original that takes no gap there sets no example.
            with suppress(Exception):
                found.append(Question(f" where {field.name!r} is missing", asked, answers(native, asked)))
    return found


def _missing(array: NDArray[Any]) -> NDArray[Any]:
    gap = {"f": np.nan, "M": np.datetime64("NaT")}.get(array.dtype.kind)
    return np.full_like(array, gap)


def _attempt(manifest: Manifest, original: Original, questions: list[Question], path: Path, precision: str) -> Manifest:
    signature = as_exported(original.signature, precision)
    for field in signature.inputs:
        if field.dtype == "datetime":
            raise ExportFailed(f"ONNX has no dates, and {field.name!r} is one")
    names = tensor_names(signature)
    path.write_bytes(finish(EXPORTERS[original.flavour].load()(original.model, signature, precision)))
    exported = replace(manifest, flavour="onnx", signature=signature, tensor_names=names)
    return replace(exported, parity=_prove_all(path, exported, questions))


def _prove_all(path: Path, manifest: Manifest, questions: list[Question]) -> Parity:
    """The proof on the validation rows, after all other questions were answered equally too."""
    model = _loaded(path, manifest)
    proofs = []
    for question in questions:
        try:
            found = answers(model, question.values)
        except Exception as error:
            raise ExportFailed(f"onnxruntime cannot run the exported model ({first_line(error)})") from error
        try:
            proofs.append(prove(question.expected, found, manifest.signature))
        except ExportFailed as error:
            raise ExportFailed(f"{error.what}{question.about}") from error
    return proofs[0]


def _loaded(path: Path, manifest: Manifest) -> Model:
    try:
        return OnnxModel.load(path, manifest)
    except Exception as error:
        raise ExportFailed(f"onnxruntime cannot load the exported model ({first_line(error)})") from error


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Give up an export that does not end: on some models converters search for ever."""

    def give_up(signum: int, frame: Any) -> None:
        del signum, frame
        raise ExportFailed(f"the export had not ended after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
