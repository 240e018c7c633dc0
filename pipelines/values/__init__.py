"""Frozen facts. No clock, no input or output, no import but `errors`."""

from pipelines.values.deployment import (
    Bento,
    Deployment,
    HostHealth,
    Moment,
    Phase,
    Role,
    Share,
    Split,
    Sticky,
    read_ref,
)
from pipelines.values.gates import (
    Check,
    Comparison,
    GateReport,
    Gates,
    ServingGates,
    Threshold,
    Verdict,
)
from pipelines.values.manifest import MANIFEST_NAME, MODEL_FOLDER, WARMUP_NAME, Manifest, Parity
from pipelines.values.project import ModelConfig, Parameter, Project, Rollout
from pipelines.values.refs import Alias, VersionRef, VersionSpec, check_model_name
from pipelines.values.signature import DTYPES, Field, Layout, Signature, Task
from pipelines.values.versions import (
    Evidence,
    ModelVersion,
    PackageRecord,
    Provenance,
    Revision,
    ServingMeasure,
)

__all__ = [
    "DTYPES",
    "MANIFEST_NAME",
    "MODEL_FOLDER",
    "WARMUP_NAME",
    "Alias",
    "Bento",
    "Check",
    "Comparison",
    "Deployment",
    "Evidence",
    "Field",
    "GateReport",
    "Gates",
    "HostHealth",
    "Layout",
    "Manifest",
    "ModelConfig",
    "ModelVersion",
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
    "ServingGates",
    "ServingMeasure",
    "Share",
    "Signature",
    "Split",
    "Sticky",
    "Task",
    "Threshold",
    "Verdict",
    "VersionRef",
    "VersionSpec",
    "check_model_name",
    "read_ref",
]
