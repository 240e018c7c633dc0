"""Frozen facts. No clock, no input or output, no import but `errors`.

A module is loaded when the first of its names is asked for: a rollback is in a hurry, and needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.values.capture import Captured, CaptureSettings, LabelledAnswer
    from pipelines.values.dependencies import Dependencies, Digested, Sources
    from pipelines.values.deployment import Bento, Deployment, HostHealth, Moment, Share, Split, Sticky
    from pipelines.values.gates import Check, Comparison, GateReport, Gates, ServingGates, Threshold, Verdict
    from pipelines.values.manifest import MANIFEST_NAME, MODEL_FOLDER, WARMUP_NAME, Manifest, Parity
    from pipelines.values.phases import Phase, Role
    from pipelines.values.project import ModelConfig, Parameter, Project, Rollout
    from pipelines.values.refs import Alias, VersionRef, VersionSpec, check_model_name, read_ref
    from pipelines.values.service_code import (
        CODE_FOLDER,
        FUNCTIONS,
        POSTPROCESS,
        PREPROCESS,
        ROWS_FILE,
        FunctionName,
        Modules,
        ServiceCode,
        ServiceFiles,
        ServiceFunction,
        Trial,
        file_name,
    )
    from pipelines.values.signature import DTYPES, Field, Layout, Signature, Task
    from pipelines.values.versions import Evidence, ModelVersion, PackageRecord, Provenance, Revision, ServingMeasure
else:

    def __getattr__(name: str) -> Any:
        for module, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_HOMES = {
    "dependencies": ("Dependencies", "Digested", "Sources"),
    "capture": ("CaptureSettings", "Captured", "LabelledAnswer"),
    "deployment": ("Bento", "Deployment", "HostHealth", "Moment", "Share", "Split", "Sticky"),
    "gates": ("Check", "Comparison", "GateReport", "Gates", "ServingGates", "Threshold", "Verdict"),
    "manifest": ("MANIFEST_NAME", "MODEL_FOLDER", "WARMUP_NAME", "Manifest", "Parity"),
    "phases": ("Phase", "Role"),
    "project": ("ModelConfig", "Parameter", "Project", "Rollout"),
    "refs": ("Alias", "VersionRef", "VersionSpec", "check_model_name", "read_ref"),
    "service_code": (
        "CODE_FOLDER",
        "FUNCTIONS",
        "POSTPROCESS",
        "PREPROCESS",
        "ROWS_FILE",
        "FunctionName",
        "Modules",
        "ServiceCode",
        "ServiceFiles",
        "ServiceFunction",
        "Trial",
        "file_name",
    ),
    "signature": ("DTYPES", "Field", "Layout", "Signature", "Task"),
    "versions": ("Evidence", "ModelVersion", "PackageRecord", "Provenance", "Revision", "ServingMeasure"),
}

__all__ = [
    "CODE_FOLDER",
    "DTYPES",
    "FUNCTIONS",
    "MANIFEST_NAME",
    "MODEL_FOLDER",
    "POSTPROCESS",
    "PREPROCESS",
    "ROWS_FILE",
    "WARMUP_NAME",
    "Alias",
    "Bento",
    "CaptureSettings",
    "Captured",
    "Check",
    "Comparison",
    "Dependencies",
    "Deployment",
    "Digested",
    "Evidence",
    "Field",
    "FunctionName",
    "GateReport",
    "Gates",
    "HostHealth",
    "LabelledAnswer",
    "Layout",
    "Manifest",
    "ModelConfig",
    "ModelVersion",
    "Modules",
    "Moment",
    "PackageRecord",
    "Parameter",
    "Parity",
    "Phase",
    "Project",
    "Provenance",
    "Revision",
    "Role",
    "Rollout",
    "ServiceCode",
    "ServiceFiles",
    "ServiceFunction",
    "ServingGates",
    "ServingMeasure",
    "Share",
    "Signature",
    "Sources",
    "Split",
    "Sticky",
    "Task",
    "Threshold",
    "Trial",
    "Verdict",
    "VersionRef",
    "VersionSpec",
    "check_model_name",
    "file_name",
    "read_ref",
]
