"""Try functions out on real rows, in a process of their own.

`python -m pipelines.adapters.packaging.trial FOLDER` reads `FOLDER/trial.json` and writes `FOLDER/tried.json`. A
function may run for ever, end its process or fill the memory: none of this is to happen in the one that asked.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.adapters.packaging import raw_rows, schema
from pipelines.adapters.packaging import rows as validation_rows
from pipelines.adapters.packaging.attempts import BATCH, answers
from pipelines.adapters.packaging.graph import first_line
from pipelines.adapters.packaging.job import error_as_json
from pipelines.adapters.packaging.rehearsal import TRIAL_NAME, TRIED_NAME, Rehearsal, TrialJob, copied, count, told
from pipelines.adapters.packaging.worker import end_with_parent
from pipelines.errors import BadServiceCode, TurnoutError
from pipelines.serving.model import load_model
from pipelines.serving.outputs import Arrays
from pipelines.serving.service_code import Function, describe_type, load_function, steps
from pipelines.values import (
    FUNCTIONS,
    POSTPROCESS,
    PREPROCESS,
    Field,
    FunctionName,
    Manifest,
    ServiceCode,
    Signature,
    Task,
    VersionRef,
)


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
    manifest = replace(Manifest.read(job.bento), service_code=None) if job.logged is None else _draft(job)
    functions = _load(job)
    if job.logged is not None:
        functions.pop(POSTPROCESS, None)
    signature = manifest.signature
    warmup = None
    if job.raw and PREPROCESS in functions:
        sent, interface, values = raw_rows.read(job.raw, signature)
        warmup = [sent[place] for place in validation_rows.evenly(len(sent), validation_rows.WARMUP_ROWS)]
    elif job.rows is None or not functions:
        return {"interface": signature.as_dict(), "rows": 0, "warmup": None}
    else:
        interface, values = signature, _validation_rows(job.rows, signature)
    manifest = replace(manifest, service_code=ServiceCode(interface))
    outputs = None
    if PREPROCESS in functions:
        values = Rehearsal(job, steps(functions, manifest)[0]).carry_out(values)
    if manifest.flavour == "onnx" or POSTPROCESS in functions:
        outputs = _ask_model(job.bento, manifest, values)
    if POSTPROCESS in functions and outputs is not None:
        interface = _answering(job, functions, manifest, outputs)
        manifest = replace(manifest, service_code=ServiceCode(interface))
        Rehearsal(job, steps(functions, manifest)[1]).carry_out(outputs)
    return {"interface": interface.as_dict(), "rows": count(values), "warmup": warmup}


def _draft(job: TrialJob) -> Manifest:
    """What is known of a model before it is packaged: its inputs."""
    from mlflow.models import Model as MlflowModel

    logged = MlflowModel.load(str(job.logged)).signature
    described = logged.inputs if logged is not None else None
    texts = [field.name for field in (schema.input_fields(described) or (None, ()))[1] if field.dtype == "string"]
    raw = validation_rows.read(job.rows, texts) if job.rows else {}
    layout, fields = schema.described_inputs(described, raw)
    return Manifest(
        VersionRef("unpackaged", 1), "unpackaged", Signature(layout, fields, (Field("outputs", "float32"),))
    )


def _load(job: TrialJob) -> dict[FunctionName, Function]:
    found: dict[FunctionName, Function] = {}
    for name in FUNCTIONS:
        path = job.path(name)
        if path.is_file():
            with told(job, name, "when it is loaded"):
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
    with told(job, POSTPROCESS, f"on {count(batch)} rows"):
        raw = step.raw(copied(batch)) if step else None
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


if __name__ == "__main__":
    main()
