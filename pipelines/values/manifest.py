"""`turnout-model.json`: what a bento says of the model it carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipelines.errors import PackageFailed
from pipelines.values.refs import VersionRef
from pipelines.values.service_code import ServiceCode
from pipelines.values.signature import Signature

MANIFEST_NAME = "turnout-model.json"
MANIFEST_SCHEMA = 1
MODEL_FOLDER = "model"
"""Beside the manifest: `model/model.onnx`, or the whole MLflow model folder of a native bento."""
WARMUP_NAME = "warmup.json"
"""Beside the manifest: a request body `{"inputs": [...]}` with up to 16 real validation rows."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The proof that an exported model answers as the original does.

    Args:
        rows: How many real validation rows were compared.
        max_abs_diff: The largest absolute difference of any output number.
        agreement: The share of rows whose top class (or label) is the same, 0 to 1; None without classes.
        tolerance: The difference that was allowed.
    """

    rows: int
    max_abs_diff: float
    agreement: float | None
    tolerance: float

    def as_dict(self) -> dict[str, Any]:
        """The proof as JSON."""
        return {
            "rows": self.rows,
            "max_abs_diff": self.max_abs_diff,
            "agreement": self.agreement,
            "tolerance": self.tolerance,
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What serving needs to know, and nothing that changes between two builds of the same inputs.

    Args:
        ref: The version.
        flavour: `onnx`, or the MLflow flavour of a native bento (`keras`, `sklearn`, `pytorch`, ...).
        signature: Inputs and outputs.
        run_id: The MLflow run that trained it.
        digests: SHA-256 hex digests by name: `model`, `notebook`, `data`, `lock`, ...
        tensor_names: For `onnx`: the graph's own name of each input and output field.
        reason: For a native bento: why it carries its framework.
        parity: For `onnx`: the proof of equality.
        max_body_bytes: A longer request body is answered 413.
        service_code: The functions before and after the model, where there are any.
    """

    ref: VersionRef
    flavour: str
    signature: Signature
    run_id: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    tensor_names: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    parity: Parity | None = None
    max_body_bytes: int = 32 * 1024 * 1024
    service_code: ServiceCode | None = None

    @property
    def interface(self) -> Signature:
        """What clients send and get; `signature` is what the model itself takes and gives."""
        return self.signature if self.service_code is None else self.service_code.interface

    def as_dict(self) -> dict[str, Any]:
        """The manifest as JSON."""
        return {
            "schema": MANIFEST_SCHEMA,
            "model": self.ref.model,
            "version": self.ref.number,
            "flavour": self.flavour,
            "signature": self.signature.as_dict(),
            "run_id": self.run_id,
            "digests": dict(self.digests),
            "tensor_names": dict(self.tensor_names),
            "reason": self.reason,
            "parity": self.parity.as_dict() if self.parity else None,
            "max_body_bytes": self.max_body_bytes,
            **({"service_code": self.service_code.as_dict()} if self.service_code else {}),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of `as_dict`.

        Raises:
            PackageFailed: another schema, or something is missing.
        """
        if data.get("schema") != MANIFEST_SCHEMA:
            raise PackageFailed(
                f"{MANIFEST_NAME} has the schema {data.get('schema')!r}",
                instead=f"this host reads schema {MANIFEST_SCHEMA}",
                then="Package the version again with `turnout package`.",
            )
        try:
            return cls(
                ref=VersionRef(data["model"], data["version"]),
                flavour=data["flavour"],
                signature=Signature.from_dict(data["signature"]),
                run_id=data["run_id"],
                digests=data["digests"],
                tensor_names=data["tensor_names"],
                reason=data["reason"],
                parity=Parity(**data["parity"]) if data["parity"] else None,
                max_body_bytes=data["max_body_bytes"],
                service_code=ServiceCode.from_dict(data["service_code"]) if data.get("service_code") else None,
            )
        except (KeyError, TypeError) as error:
            raise PackageFailed(f"{MANIFEST_NAME} is incomplete: {error}", then="Package the version again.") from error

    def write(self, folder: Path) -> None:
        """Write `turnout-model.json` into `folder`; equal manifests give equal bytes."""
        text = json.dumps(self.as_dict(), indent=2, sort_keys=True, ensure_ascii=False)
        (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read `turnout-model.json` from a bento's source folder.

        Raises:
            PackageFailed: there is none, or it cannot be read.
        """
        path = folder / MANIFEST_NAME
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError) as error:
            raise PackageFailed(
                f"no readable manifest at {path}: {error}", then="Package the version again."
            ) from error
