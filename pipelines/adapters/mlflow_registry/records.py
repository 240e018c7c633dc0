"""How the facts of a version are written into MLflow's tags, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.values import Evidence, GateReport, PackageRecord, Parameter, Provenance, Revision

EXECUTION = "turnout.execution"
"""On a run: the execution of a notebook that started it."""
VERSION = "turnout.version"
"""On a run: the version it trained or validated."""

MODEL_URI = "turnout.model_uri"
"""On a version: `models:/m-...`. Only versions with it are Turnout's own."""
_PARAMETERS = "turnout.parameters"
_NOTEBOOK = "turnout.notebook_digest"
_DATA = "turnout.data_digest"
_LOCK = "turnout.lock_digest"
_SYSTEM = "turnout.revision_system"
_REVISION = "turnout.revision"
_DIRTY = "turnout.dirty"
VALIDATION = "turnout.validation"
"""On a version: the whole last validation in one tag, so that it is never half-written."""
VERDICT = "turnout.verdict"
VALIDATION_RUN = "turnout.validation_run_id"
"""On a version: its verdict and the run of its validation, for people and programs that look at it in MLflow."""
PACKAGE = "turnout.package"

REPORT_FILE = "turnout/gates.json"
"""Among the artifacts of a validation run."""
# MLflow takes 100,000 characters in a tag of a version.
_LONGEST = 90_000


def birth_tags(model_uri: str, parameters: Mapping[str, Parameter], made_from: Provenance) -> dict[str, str]:
    """The tags of a version as it is registered."""
    return {
        MODEL_URI: model_uri,
        _PARAMETERS: json.dumps(dict(parameters)),
        _NOTEBOOK: made_from.notebook_digest,
        _DATA: made_from.data_digest,
        _LOCK: made_from.lock_digest,
        _SYSTEM: made_from.revision.system,
        _REVISION: made_from.revision.revision,
        _DIRTY: json.dumps(made_from.revision.dirty),
    }


def parameters_of(tags: Mapping[str, str]) -> dict[str, Parameter]:
    """What the notebook ran with."""
    return dict(json.loads(tags[_PARAMETERS]))


def provenance_of(tags: Mapping[str, str]) -> Provenance:
    """What the version was made from."""
    return Provenance(
        notebook_digest=tags[_NOTEBOOK],
        data_digest=tags[_DATA],
        lock_digest=tags[_LOCK],
        revision=Revision(tags[_SYSTEM], tags[_REVISION], json.loads(tags[_DIRTY])),
    )


def package_of(tags: Mapping[str, str]) -> PackageRecord | None:
    """The version's bento, if it has one."""
    return PackageRecord.from_dict(json.loads(tags[PACKAGE])) if PACKAGE in tags else None


@dataclass(frozen=True, slots=True)
class Validation:
    """The last validation of a version.

    Args:
        run_id: Its MLflow run.
        key: Digest of all it depended on.
        report: What came out; None when it is too long for a tag and stands in the run's REPORT_FILE alone.
    """

    run_id: str
    key: str
    report: GateReport | None

    def as_tag(self) -> str:
        """The value of the tag VALIDATION."""
        facts: dict[str, Any] = {"run_id": self.run_id, "key": self.key}
        whole = json.dumps({**facts, "report": self.report.as_dict() if self.report else None})
        return whole if len(whole) <= _LONGEST else json.dumps({**facts, "report": None})


def validation_of(tags: Mapping[str, str]) -> Validation | None:
    """The inverse of `Validation.as_tag`; None before the first validation."""
    if VALIDATION not in tags:
        return None
    facts = json.loads(tags[VALIDATION])
    report = GateReport.from_dict(facts["report"]) if facts["report"] else None
    return Validation(facts["run_id"], facts["key"], report)


def validation_from(report: GateReport, evidence: Evidence) -> Validation:
    """The validation that `evidence` and `report` make."""
    return Validation(evidence.run_id, evidence.key, report)
