"""What the packager and its worker process tell each other, as JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pipelines import errors
from pipelines.errors import PackageFailed, TurnoutError
from pipelines.values import VersionRef

JOB_NAME = "job.json"
RESULT_NAME = "result.json"
DISK_EXIT_CODE = 74
"""How the worker ends when it cannot even write down that the disk is full (EX_IOERR)."""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """What the worker shall do.

    Args:
        ref: The version.
        flavour: The MLflow flavour of its model.
        model: The MLflow model folder.
        rows: The file with the validation rows.
        stage: The bento's source folder to be: the worker writes the manifest, the warm-up and `model/model.onnx`.
        native: Why no export is to be tried; empty to try one.
        run_id: For the manifest.
        digests: For the manifest; the worker adds `model`.
        export_seconds: How long one attempt to export and prove may take.
    """

    ref: VersionRef
    flavour: str
    model: Path
    rows: Path
    stage: Path
    native: str = ""
    run_id: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    export_seconds: float = 600.0

    def write(self, path: Path) -> None:
        """Write the job as JSON."""
        said = {**asdict(self), "ref": [self.ref.model, self.ref.number], "digests": dict(self.digests)}
        path.write_text(json.dumps(said, default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`."""
        said = json.loads(path.read_text(encoding="utf-8"))
        places = {name: Path(said[name]) for name in ("model", "rows", "stage")}
        return cls(**{**said, **places, "ref": VersionRef(*said["ref"])})


def error_as_json(error: TurnoutError) -> dict[str, Any]:
    """An error as the worker's result."""
    return {"error": error.as_dict()}


def raise_error(result: Mapping[str, Any]) -> None:
    """Raise the error that a worker's result holds, if it holds one."""
    said = result.get("error")
    if said:
        kind = getattr(errors, said["type"], PackageFailed)
        raise kind(said["what"], instead=said["instead"], then=said["next"])
