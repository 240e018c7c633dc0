"""Put functions before and after a bento's model: read, tried out on real rows, laid beside the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipelines.adapters.packaging.build import PACKAGE
from pipelines.adapters.packaging.job import raise_error
from pipelines.adapters.packaging.process import blame, run_logged
from pipelines.adapters.packaging.rehearsal import TRIAL_NAME, TRIED_NAME, TrialJob
from pipelines.errors import BadServiceCode
from pipelines.policy.service_code import check
from pipelines.values import (
    CODE_FOLDER,
    WARMUP_NAME,
    Manifest,
    Modules,
    ServiceCode,
    ServiceFiles,
    Signature,
    Trial,
    file_name,
)

PROCESS_SECONDS = 300.0
"""How long a whole trial may take: a framework may have to be loaded."""

_WORKER = "pipelines.adapters.packaging.trial"


def apply(stage: Path, files: ServiceFiles, rows: Path, modules: Modules, environment: Mapping[str, str]) -> Manifest:
    """Lay functions into a bento's source folder to be, whose model and manifest are there.

    Args:
        stage: The folder; its manifest and, where clients send other rows, its warm-up are written anew.
        files: The functions.
        rows: The real validation rows.
        modules: What they may import.
        environment: Of the process that tries them out.

    Returns:
        The new manifest.

    Raises:
        BadServiceCode: a function may not stand there.
    """
    for function in files.functions:
        check(function, modules)
    lay_out(stage, files)
    trial, warmup = run_trial(stage, files, rows, environment, stage.parent / "trial.log")
    if warmup is not None:
        said = json.dumps({"inputs": warmup}, ensure_ascii=False)
        (stage / WARMUP_NAME).write_text(said + "\n", encoding="utf-8")
    manifest = replace(Manifest.read(stage), service_code=ServiceCode(trial.interface, files.digests))
    manifest.write(stage)
    return manifest


def lay_out(folder: Path, files: ServiceFiles) -> None:
    """Write the functions into a source folder."""
    (folder / CODE_FOLDER).mkdir()
    for function in files.functions:
        (folder / CODE_FOLDER / file_name(function.name)).write_text(function.text, encoding="utf-8", newline="")


def run_trial(
    bento: Path, files: ServiceFiles, rows: Path, environment: Mapping[str, str], log: Path, logged: Path | None = None
) -> tuple[Trial, list[object] | None]:
    """Try the functions that lie in `bento` out, in a folder beside it.

    Returns:
        How they did, and the warm-up rows where clients send others than the model takes.

    Raises:
        BadServiceCode: one does not do what it has to.
    """
    place = bento.parent / "trial"
    place.mkdir()
    TrialJob(bento, rows.absolute(), files.rows, logged=logged).write(place / TRIAL_NAME)
    names = " and ".join(function.name for function in files.functions)
    command = ["-m", _WORKER, str(place)]
    paths = {**environment, "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        code = run_logged(command, cwd=place, environment=paths, log=log, seconds=PROCESS_SECONDS)
    except TimeoutError as error:
        raise BadServiceCode(f"the process that tried {names} out on real rows was stopped: {error}") from error
    if not (place / TRIED_NAME).is_file():
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        said = blame(log)
        raise BadServiceCode(f"the process that tried {names} out on real rows {ended}" + (f": {said}" if said else ""))
    result = json.loads((place / TRIED_NAME).read_text(encoding="utf-8"))
    raise_error(result)
    return Trial(result["rows"], Signature.from_dict(result["interface"])), result["warmup"]
