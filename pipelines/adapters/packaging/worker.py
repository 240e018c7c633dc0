"""Export a model and prove the export equal, in a process of its own.

`python -m pipelines.adapters.packaging.worker FOLDER` reads `FOLDER/job.json`, writes what a bento needs into the job's
stage and then `FOLDER/result.json`. Importing a framework takes up to 17 seconds and may end the process: neither is to
happen in the one that asked. The worker ends when its standard input does, so that it never outlives that one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines.adapters.packaging import reference, schema
from pipelines.adapters.packaging import rows as validation_rows
from pipelines.adapters.packaging.attempts import BATCH, Original, Question, answers, export
from pipelines.adapters.packaging.digest import folder_digest
from pipelines.adapters.packaging.exporters import EXPORTERS
from pipelines.adapters.packaging.graph import first_line
from pipelines.adapters.packaging.job import DISK_EXIT_CODE, JOB_NAME, RESULT_NAME, WorkerJob, error_as_json
from pipelines.errors import ExportFailed, PackageFailed, StorageFailed, TurnoutError
from pipelines.serving.native import FLAVOURS, NativeModel
from pipelines.serving.outputs import Arrays
from pipelines.values import MODEL_FOLDER, WARMUP_NAME, Manifest, Signature


def main() -> None:
    """Do the job in the folder given as the only argument."""
    folder = Path(sys.argv[1])
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        result = carry_out(WorkerJob.read(folder / JOB_NAME))
    except TurnoutError as error:
        result = error_as_json(error)
    except OSError as error:
        error.filename = error.filename or str(folder)  # a refused write names no file
        result = error_as_json(StorageFailed.from_os(error, "exporting the model"))
    unfinished = folder / f"{RESULT_NAME}.part"
    try:
        unfinished.write_text(json.dumps(result), encoding="utf-8")
    except OSError:
        sys.exit(DISK_EXIT_CODE)
    unfinished.replace(folder / RESULT_NAME)


def end_with_parent() -> None:
    """End this process as soon as its standard input ends."""
    sys.stdin.buffer.read()
    os._exit(1)


def carry_out(job: WorkerJob) -> dict[str, Any]:
    """Load, answer, export, prove; write the manifest, the warm-up and the reference.

    Returns:
        The manifest as JSON.

    Raises:
        PackageFailed: the model cannot be loaded, or cannot answer its own validation rows.
    """
    model, logged = _load(job)
    texts = [field.name for field in (schema.input_fields(logged.inputs) or (None, ()))[1] if field.dtype == "string"]
    raw = validation_rows.read(job.rows, texts)
    layout, fields = schema.described_inputs(logged.inputs, raw)
    values = validation_rows.arrays(raw, fields, job.rows.name)
    original = _ask_original(job, model, schema.draft(layout, fields, model), values, logged.outputs)
    manifest = _manifest(job, original)
    warmup = {"inputs": validation_rows.warmup_rows(values, fields, layout)}
    (job.stage / WARMUP_NAME).write_text(json.dumps(warmup, ensure_ascii=False) + "\n", encoding="utf-8")
    reference.write(job.stage, manifest.signature, values, original.questions[0].expected)
    manifest.write(job.stage)
    return manifest.as_dict()


class _Logged:
    """MLflow's own schemas of a model; None where it was logged without."""

    def __init__(self, signature: Any) -> None:
        self.inputs = signature.inputs if signature is not None else None
        self.outputs = signature.outputs if signature is not None else None


def _load(job: WorkerJob) -> tuple[Any, _Logged]:
    from mlflow.models import Model as MlflowModel

    loader = job.flavour if job.flavour in FLAVOURS else "pyfunc"
    try:
        logged = _Logged(MlflowModel.load(str(job.model)).signature)
        return import_module(f"mlflow.{loader}").load_model(str(job.model)), logged
    except Exception as error:
        raise PackageFailed(
            f"the model of {job.ref} cannot be loaded: {type(error).__name__}: {first_line(error)}",
            then=f"Try `mlflow.{loader}.load_model` in a notebook; then train the version again.",
        ) from error


def _ask_original(job: WorkerJob, model: Any, drafted: Signature, values: Arrays, outputs: Any) -> Original:
    try:
        probe = {name: array[:BATCH] for name, array in values.items()}
        rows = len(next(iter(probe.values())))
        answer = NativeModel.wrap(model, job.flavour, drafted).answer(probe)
        signature = schema.complete(drafted, answer, model, outputs, rows)
        original = NativeModel.wrap(model, job.flavour, signature)
        return Original(model, job.flavour, signature, [Question("", values, answers(original, values))])
    except TurnoutError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise PackageFailed(
            f"the model of {job.ref} cannot answer its own validation rows: {said}",
            instead=f"the rows in {job.rows.name} are what the model takes, as its MLflow signature says",
            then="Log them so in the validation notebook, and validate again.",
        ) from error


def _manifest(job: WorkerJob, original: Original) -> Manifest:
    """The manifest of an equal export, or the native one with the reason why there is none."""
    manifest = Manifest(ref=job.ref, flavour=job.flavour, signature=original.signature, run_id=job.run_id)
    reason = job.native
    if not reason and job.flavour not in EXPORTERS:
        reason = f"there is no exporter for the MLflow flavour {job.flavour}"
    served = job.stage / MODEL_FOLDER
    if not reason:
        try:
            manifest = export(manifest, original, served, job.export_seconds)
        except ExportFailed as error:
            reason = error.what
    if reason:
        shutil.rmtree(served, ignore_errors=True)
    digests = {**job.digests, "model": folder_digest(job.model if reason else served)}
    return replace(manifest, digests=digests, reason=reason)


if __name__ == "__main__":
    main()
