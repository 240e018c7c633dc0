"""A loaded model behind one method, and the ONNX one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BadRequest, ServeFailed
from pipelines.serving.outputs import Arrays, fit
from pipelines.values.manifest import MODEL_FOLDER, Manifest
from pipelines.values.signature import Signature

ONNX_FILE = "model.onnx"

_NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(string)": np.dtype(object),
    **{f"tensor({name})": np.dtype(name) for name in ("int8", "int16", "int32", "int64")},
    **{f"tensor({name})": np.dtype(name) for name in ("uint8", "uint16", "uint32", "uint64")},
}


class Model(Protocol):
    """A loaded model.

    `takes_threads` says whether `predict` may run in several threads at once.
    """

    takes_threads: bool

    def predict(self, arrays: Arrays) -> Arrays:
        """Answer a batch.

        Args:
            arrays: By input field, each of shape (rows, *field.shape); a missing value is NaN, None or NaT.

        Returns:
            By output field, each of shape (rows, *field.shape).

        Raises:
            BadRequest: a value that this model cannot take, named by its field.
            Exception: whatever the model raises on rows it cannot answer.
        """


def load_model(folder: Path, manifest: Manifest) -> Model:
    """Load the model of the bento whose source folder is `folder`, with the functions before and after it.

    Raises:
        ServeFailed: the model or a function cannot be loaded, or is not what the manifest says.
    """
    model = _load_bare(folder / MODEL_FOLDER, manifest)
    if manifest.service_code is None:
        return model
    from pipelines.serving.service_code import CodedModel

    return CodedModel.load(model, folder, manifest)


def _load_bare(place: Path, manifest: Manifest) -> Model:
    try:
        if manifest.flavour == "onnx":
            return OnnxModel.load(place / ONNX_FILE, manifest)
        from pipelines.serving.native import NativeModel

        return NativeModel.load(place, manifest)
    except ServeFailed:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ServeFailed(
            f"the model of {manifest.ref} cannot be loaded from {place}: {type(error).__name__}: {reason}",
            then=f"Package it again with `turnout package {manifest.ref}`.",
        ) from error


class OnnxModel:
    """An ONNX graph in onnxruntime.

    Each input keeps its graph name from `Manifest.tensor_names`. A scalar field is handed over with as many axes as the
    graph declares, so a column of a table goes in as (rows, 1).
    """

    takes_threads = True

    def __init__(self, session: Any, signature: Signature, names: dict[str, str], what: str) -> None:
        declared = {node.name: node for node in session.get_inputs()}
        self._run = session.run
        self._inputs = tuple((field, *_graph_input(field.name, names, declared, what)) for field in signature.inputs)
        fed = {name for _, name, _, _ in self._inputs}
        if set(declared) != fed:
            unfed = ", ".join(sorted(set(declared) - fed))
            raise ServeFailed(f"{what} has inputs that its manifest does not name: {unfed}")
        given = {node.name for node in session.get_outputs()}
        self._outputs = signature.outputs
        self._output_names = [names.get(field.name, field.name) for field in signature.outputs]
        for name in self._output_names:
            if name not in given:
                raise ServeFailed(f"{what} has no output {name!r}; it has {', '.join(sorted(given))}")
        for field in signature.inputs:
            if field.dtype == "datetime":
                raise ServeFailed(f"{what} cannot take dates, but its field {field.name!r} is one")

    @classmethod
    def load(cls, path: Path, manifest: Manifest, threads: int = 1) -> OnnxModel:
        """Read an ONNX file.

        Args:
            path: The file.
            manifest: Its signature and tensor names are used.
            threads: How many threads one inference may use.

        Raises:
            ServeFailed: the graph does not have the manifest's inputs and outputs.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised as well; the log would repeat it on stderr
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return cls(session, manifest.signature, dict(manifest.tensor_names), f"the ONNX model of {manifest.ref}")

    def predict(self, arrays: Arrays) -> Arrays:
        """See `Model.predict`."""
        feeds = {}
        rows = 0
        for field, name, dtype, rank in self._inputs:
            array = arrays[field.name]
            rows = len(array)
            # A column of texts has the graph's type already, but ONNX has no missing text.
            if array.dtype != dtype or (dtype.kind == "O" and not field.required):
                array = _cast(array, dtype, field.name)
            if array.ndim != rank:
                array = array.reshape(rows, *array.shape[1:], *(1,) * (rank - array.ndim))
            feeds[name] = array
        found = self._run(self._output_names, feeds)
        return {
            field.name: part if part.shape == (rows, *field.shape) else fit(np.asarray(part), field, rows)
            for field, part in zip(self._outputs, found, strict=True)
        }


def _graph_input(
    field: str, names: dict[str, str], declared: dict[str, Any], what: str
) -> tuple[str, np.dtype[Any], int]:
    name = names.get(field, field)
    if name not in declared:
        raise ServeFailed(f"{what} has no input {name!r}; it has {', '.join(sorted(declared))}")
    node = declared[name]
    if node.type not in _NUMPY_TYPES:
        raise ServeFailed(f"{what} wants {node.type} for {name!r}, which cannot be sent as JSON")
    return name, _NUMPY_TYPES[node.type], len(node.shape)


def _cast(array: NDArray[Any], dtype: np.dtype[Any], field: str) -> NDArray[Any]:
    """The values in the graph's own type; what that type cannot hold is the caller's mistake.

    A missing text becomes an empty one, which is what exporters take for it.
    """
    if dtype.kind == "O":
        return np.array(["" if value is None else str(value) for value in array.flat], object).reshape(array.shape)
    if array.dtype.kind == "O":
        array = np.array([np.nan if value is None else value for value in array.flat], float).reshape(array.shape)
    if dtype.kind != "f":
        _forbid(np.isnan(array), field, "missing", f"the exported model takes no missing value there, it wants {dtype}")
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    _forbid(np.isinf(cast), field, "too large", f"the exported model computes in {dtype}")
    return cast


def _forbid(wrong: NDArray[np.bool_], field: str, what: str, instead: str) -> None:
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        path = f"inputs[{row}].{field}"
        raise BadRequest(f"the value of {path} is {what}", instead=instead, status=422, field=path)
