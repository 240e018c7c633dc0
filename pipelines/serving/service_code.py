"""Functions before and after the model: loaded from their files, called, and held to what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ServeFailed, ServiceCodeFailed
from pipelines.serving.codec import non_finite
from pipelines.serving.outputs import Arrays, is_finite
from pipelines.serving.scalars import column_dtype
from pipelines.values.manifest import Manifest
from pipelines.values.refs import VersionRef
from pipelines.values.service_code import (
    CODE_FOLDER,
    FUNCTIONS,
    POSTPROCESS,
    PREPROCESS,
    FunctionName,
    ServiceFunction,
    file_name,
)
from pipelines.values.signature import Field, Layout

Function = Callable[[Any], Any]
Slot = tuple[Field, "np.dtype[Any]"]
"""A field, and the NumPy type of its values."""


def load_function(path: Path, name: FunctionName, text: str) -> Function:
    """Run the text of a function's file as a module of its own and return the function.

    Args:
        path: Where tracebacks say that the text stands.
        name: The function.
        text: The whole file.

    Raises:
        Exception: whatever the text raises; LookupError when it defines no such function.
    """
    module = ModuleType(f"turnout_{name}")
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102 - what the person wrote to be run here
    function = vars(module)[name]
    if not callable(function):
        raise LookupError(name)
    return function  # type: ignore[no-any-return]


def load_functions(folder: Path, manifest: Manifest) -> dict[FunctionName, Function]:
    """The functions that the manifest names, from the bento whose source folder is `folder`.

    Raises:
        ServeFailed: one is gone, was changed after it was packaged, or cannot be loaded.
    """
    digests = manifest.service_code.digests if manifest.service_code else {}
    return {name: _checked(folder, name, digests[name], manifest.ref) for name in FUNCTIONS if name in digests}


def _checked(folder: Path, name: FunctionName, digest: str, ref: VersionRef) -> Function:
    path = folder / CODE_FOLDER / file_name(name)
    again = f"Package it again with `turnout package {ref}`."
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ServeFailed(f"the {name} of {ref} cannot be read from {path}: {error}", then=again) from error
    if ServiceFunction(name, text).digest != digest:
        raise ServeFailed(f"the {name} of {ref} in {path} was changed after it was packaged", then=again)
    try:
        return load_function(path, name, text)
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())[:300]
        raise ServeFailed(
            f"the {name} of {ref} cannot be loaded: {type(error).__name__}: {reason}", then=again
        ) from error


class Step:
    """One function with what is given to it and what it has to return.

    Args:
        name: The function's name, for messages.
        function: The function.
        only: The field whose array it gets by itself; None where it gets all of them by name.
        fields: What it has to return, by name, or as a bare array when it is one.
        ref: The version, for messages.
    """

    def __init__(
        self, name: FunctionName, function: Function, only: str | None, fields: Sequence[Field], ref: VersionRef
    ) -> None:
        self.name = name
        self._function = function
        self._only = only
        self._slots = slots(fields)
        self._ref = ref

    def raw(self, arrays: Arrays) -> Any:
        """What the function itself returns."""
        return self._function(arrays if self._only is None else arrays[self._only])

    def __call__(self, arrays: Arrays, rows: int) -> Arrays:
        """Call it with `rows` rows.

        Raises:
            ServiceCodeFailed: it raised, or returned something else than its fields; the cause says more.
        """
        try:
            return arrange(self.raw(arrays), self._slots, rows)
        except (Exception, SystemExit) as error:
            raise ServiceCodeFailed(
                f"{self.name} of {self._ref} failed at these rows: {type(error).__name__}",
                then=f"The host's log says more: `turnout logs {self._ref}`.",
            ) from error


class CodedModel:
    """A model with the functions before and after it; where there is neither, none of this is in the way."""

    def __init__(self, model: Any, before: Step | None, after: Step | None, manifest: Manifest) -> None:
        self.takes_threads = bool(model.takes_threads)
        self._model = model
        self._before = before
        self._after = after
        self._outputs = manifest.signature.outputs
        self._ref = manifest.ref

    @classmethod
    def load(cls, model: Any, folder: Path, manifest: Manifest) -> CodedModel:
        """Put the functions of the bento at `folder` around its loaded model.

        Raises:
            ServeFailed: one of them cannot be loaded.
        """
        functions = load_functions(folder, manifest)
        return cls(model, *steps(functions, manifest), manifest)

    def predict(self, arrays: Arrays) -> Arrays:
        """See `Model.predict`; what goes in and comes out is the manifest's `interface`.

        Raises:
            ServiceCodeFailed: a function failed.
            BadRequest: the model's answer is not finite, so that there is nothing to hand on.
        """
        rows = len(next(iter(arrays.values())))
        if self._before is not None:
            arrays = self._before(arrays, rows)
        outputs: Arrays = self._model.predict(arrays)
        if self._after is None:
            return outputs
        for field in self._outputs:
            array = outputs[field.name]
            if array.dtype.kind == "f" and not is_finite(array):
                raise non_finite(array, field.name, self._ref)
        return self._after(outputs, rows)


def steps(functions: Mapping[FunctionName, Function], manifest: Manifest) -> tuple[Step | None, Step | None]:
    """The functions with what the manifest says that they get and return."""
    signature, interface = manifest.signature, manifest.interface
    before = after = None
    if PREPROCESS in functions:
        only = interface.inputs[0].name if interface.layout is Layout.TENSOR else None
        before = Step(PREPROCESS, functions[PREPROCESS], only, signature.inputs, manifest.ref)
    if POSTPROCESS in functions:
        only = signature.outputs[0].name if len(signature.outputs) == 1 else None
        after = Step(POSTPROCESS, functions[POSTPROCESS], only, interface.outputs, manifest.ref)
    return before, after


def slots(fields: Sequence[Field]) -> tuple[Slot, ...]:
    """The fields, each with the NumPy type of its values."""
    return tuple(
        (field, np.dtype(field.dtype) if field.shape and field.is_numeric else column_dtype(field)) for field in fields
    )


def arrange(raw: Any, expected: Sequence[Slot], rows: int) -> Arrays:
    """What a function returned, as one array per field.

    Args:
        raw: A mapping by field name; or an array, or what becomes one, for the only field.
        expected: What is expected; see `slots`.
        rows: How many rows it was given.

    Raises:
        ValueError: something is missing, or of another type or shape, or no number.
    """
    if isinstance(raw, Mapping):
        if set(raw) != {field.name for field, _ in expected}:
            given = ", ".join(map(str, raw)) or "none"
            raise ValueError(f"it returned the fields {given}; expected {_names(expected)}")
        return {field.name: conform(raw[field.name], field, target, rows) for field, target in expected}
    if len(expected) != 1:
        raise ValueError(f"it returned {describe_type(raw)}; expected a dictionary with the fields {_names(expected)}")
    ((field, target),) = expected
    return {field.name: conform(raw, field, target, rows)}


def _names(expected: Sequence[Slot]) -> str:
    return ", ".join(field.name for field, _ in expected)


def describe_type(value: Any) -> str:
    """What a function returned, in two words."""
    return "nothing" if value is None else f"a value of the type {type(value).__name__}"


def conform(value: Any, field: Field, target: np.dtype[Any], rows: int) -> NDArray[Any]:
    """One field's values in the type `target`, of shape (rows, *field.shape).

    Raises:
        ValueError: they have another type or shape, or a value is missing that is needed.
    """
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    shape = array.shape
    if shape != (rows, *field.shape) and not _has_shape(shape, field, rows):
        wanted = ", ".join("any" if size is None else str(size) for size in (rows, *field.shape))
        raise ValueError(f"its {field.name!r} has the shape {shape}; expected ({wanted})")
    if array.dtype != target:
        array = _cast(array, target, field)
    _check_values(array, field)
    return array


def _has_shape(shape: tuple[int, ...], field: Field, rows: int) -> bool:
    return len(shape) == len(field.shape) + 1 and all(
        want in (None, have) for have, want in zip(shape, (rows, *field.shape), strict=True)
    )


def _cast(array: NDArray[Any], target: np.dtype[Any], field: Field) -> NDArray[Any]:
    kind = array.dtype.kind
    allowed = {"f": "iuf", "i": "iu", "u": "iu", "b": "b", "O": "UOb", "M": "M"}[target.kind]
    if kind not in allowed:
        raise ValueError(f"its {field.name!r} has the type {array.dtype}; expected {field.dtype}")
    with np.errstate(over="ignore"):
        cast = array.astype(target)
    if target.kind in "iu" and (cast != array).any():
        raise ValueError(f"its {field.name!r} has a number beyond {field.dtype}")
    return cast


def _check_values(array: NDArray[Any], field: Field) -> None:
    kind = array.dtype.kind
    if kind == "f":
        if not is_finite(array) and (field.required or np.isinf(array).any()):
            raise ValueError(f"its {field.name!r} is NaN or infinite in a row")
    elif kind == "O":
        wanted = {bool, np.bool_} if field.dtype == "bool" else {str}
        if not set(map(type, array.ravel())) <= wanted | (set() if field.required else {type(None)}):
            raise ValueError(f"its {field.name!r} has a value that is no {field.dtype}")
    elif kind == "M" and field.required and np.isnat(array).any():
        raise ValueError(f"its {field.name!r} has a row without a date")
