"""How the facts of a version are written into MLflow's tags, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.values import Dependencies, Evidence, GateReport, PackageRecord, Parameter, Provenance, Revision

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
_CODE = "turnout.code_digest"
_UPSTREAM = "turnout.upstream_digest"
_PARTS = "turnout.parts"
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
        _CODE: made_from.code_digest,
        _UPSTREAM: made_from.upstream_digest,
        **_fitting(_PARTS, made_from.parts),
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
        # Versions of an earlier release have none of these.
        code_digest=tags.get(_CODE, ""),
        upstream_digest=tags.get(_UPSTREAM, ""),
        parts=Dependencies.from_dict(json.loads(tags[_PARTS])) if _PARTS in tags else None,
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
        parts: What it depended on, part by part; None where that was not recorded, or is too long.
        judged_key: Digest of all that the verdict depended on.
    """

    run_id: str
    key: str
    report: GateReport | None
    parts: Dependencies | None = None
    judged_key: str = ""

    def as_tag(self) -> str:
        """The value of the tag VALIDATION."""
        facts: dict[str, Any] = {"run_id": self.run_id, "key": self.key, "judged_key": self.judged_key}
        report = self.report.as_dict() if self.report else None
        for more in ({"parts": self.parts.as_dict() if self.parts else None}, {}):
            whole = json.dumps({**facts, **more, "report": report})
            if len(whole) <= _LONGEST:
                return whole
        return json.dumps({**facts, "report": None})


def validation_of(tags: Mapping[str, str]) -> Validation | None:
    """The inverse of `Validation.as_tag`; None before the first validation."""
    if VALIDATION not in tags:
        return None
    facts = json.loads(tags[VALIDATION])
    report = GateReport.from_dict(facts["report"]) if facts["report"] else None
    parts = Dependencies.from_dict(facts["parts"]) if facts.get("parts") else None
    return Validation(facts["run_id"], facts["key"], report, parts, facts.get("judged_key", ""))


def validation_from(report: GateReport, evidence: Evidence) -> Validation:
    """The validation that `evidence` and `report` make."""
    return Validation(evidence.run_id, evidence.key, report, evidence.parts, evidence.judged_key)


def _fitting(name: str, parts: Dependencies | None) -> dict[str, str]:
    """The tag with the parts, unless there are none or they are too long for one: then only the reasons are coarser."""
    said = json.dumps(parts.as_dict()) if parts is not None else ""
    return {name: said} if 0 < len(said) <= _LONGEST else {}
