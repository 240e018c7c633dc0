"""What later rows are held against: the validation rows of a version and its answers, in counts, beside its model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pipelines.adapters.packaging import rows as validation_rows
from pipelines.policy.drift_features import make_reference
from pipelines.serving.outputs import Arrays
from pipelines.values import POSTPROCESS, PREPROCESS, ServiceFiles, Signature
from pipelines.values.drift import REFERENCE_NAME, Reference


def write(stage: Path, signature: Signature, values: Arrays, answers: Arrays) -> None:
    """Write the reference into a bento's source folder to be.

    Args:
        stage: The folder.
        signature: As the version is served.
        values: The validation rows by input field.
        answers: What the model says of them by output field.
    """
    kept = validation_rows.carried(values, signature.inputs)
    try:
        made = make_reference(
            signature,
            {name: array[kept] for name, array in values.items()},
            {name: array[kept] for name, array in answers.items()},
        )
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # A version without a reference serves as well as one with it.
        made = Reference(left_out=(f"no bins could be made of the validation rows: {error}",))
    _write(stage, made)


def leave_out(stage: Path, files: ServiceFiles) -> None:
    """Take out of a reference what functions before and after the model change.

    Where clients send rows of their own, validation rows are what `preprocess` makes of them; else they are what it
    gets, and the model has answered something else.
    """
    file = stage / REFERENCE_NAME
    made = Reference.from_dict(json.loads(file.read_text(encoding="utf-8")))
    names = [function.name for function in files.functions]
    if PREPROCESS in names and files.rows:
        made = replace(made, inputs=(), left_out=(*made.left_out, f"rows: {PREPROCESS} changes what clients send"))
    if POSTPROCESS in names or (PREPROCESS in names and not files.rows):
        who = POSTPROCESS if POSTPROCESS in names else PREPROCESS
        made = replace(made, answers=(), left_out=(*made.left_out, f"answers: {who} changes what they rest on"))
    _write(stage, made)


def _write(stage: Path, made: Reference) -> None:
    (stage / REFERENCE_NAME).write_text(json.dumps(made.as_dict(), ensure_ascii=False) + "\n", encoding="utf-8")
