"""Values: what they refuse, and that JSON brings them back whole."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import BadInput, NoSuchModel, PackageFailed
from pipelines.values import (
    Alias,
    Check,
    Comparison,
    Field,
    GateReport,
    Layout,
    Manifest,
    ModelConfig,
    ModelVersion,
    PackageRecord,
    Parity,
    Project,
    Rollout,
    ServingGates,
    Signature,
    Task,
    Threshold,
    Verdict,
    VersionRef,
    VersionSpec,
    check_model_name,
)

REF = VersionRef("digits", 7)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("name", ["d", "digits", "credit-risk_2", "a" * 40])
def test_a_model_name_is_accepted(name: str) -> None:
    """Letters, digits, - and _, up to 40 of them."""
    assert check_model_name(name) == name


@pytest.mark.parametrize("name", ["", "Digits", "7up", "a" * 41, "a b", "a/b", "a@1", "größe", "a\n", "-a", "a-", "a_"])
def test_a_name_that_would_break_a_path_or_a_label_is_refused(name: str) -> None:
    """What cannot be a folder, a URL prefix and a metrics label at once is no model name."""
    with pytest.raises(BadInput, match="cannot name a model"):
        check_model_name(name)


@given(st.from_regex(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?", fullmatch=True), st.integers(1, 10**9))
def test_a_ref_is_read_back_from_its_text(model: str, number: int) -> None:
    """What a version prints is what a person may type."""
    spec = VersionSpec.parse(str(VersionRef(model, number)))
    assert (spec.model, spec.which) == (model, number)


@pytest.mark.parametrize("alias", list(Alias))
def test_an_alias_is_read(alias: Alias) -> None:
    """The three aliases are versions to a person."""
    assert VersionSpec.parse(f"digits@{alias}").which is alias


@pytest.mark.parametrize(
    "text", ["", "digits", "digits@", "digits@0", "digits@-1", "digits@1.0", "digits@²", "digits@x"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    """A typing mistake gives an error that shows what is right; no digit of another script counts as one."""
    with pytest.raises(BadInput, match=r"version|model"):
        VersionSpec.parse(text)


@given(st.text(max_size=30))
def test_reading_a_version_never_fails_otherwise(text: str) -> None:
    """Any text is a version or a BadInput."""
    try:
        VersionSpec.parse(text)
    except BadInput:
        return
    assert "@" in text


def test_versions_sort_by_number() -> None:
    """Version 10 comes after version 9."""
    assert max(VersionRef("digits", 9), VersionRef("digits", 10)).number == 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: VersionRef("digits", 0),
        lambda: Threshold("accuracy"),
        lambda: Threshold("accuracy", min=math.nan),
        lambda: Threshold("accuracy", max=math.inf),
        lambda: Threshold("accuracy", min=2, max=1),
        lambda: Comparison("accuracy", margin=-0.01),
        lambda: Comparison("accuracy", margin=math.nan),
        lambda: Comparison("accuracy", margin=0.01, confidence=1.0),
        lambda: Comparison("accuracy", margin=0.01, confidence=0.49),
        lambda: ServingGates(latency_p95_ms=0),
        lambda: ServingGates(memory_mb=math.inf),
        lambda: Rollout(steps=()),
        lambda: Rollout(steps=(10, 10, 100)),
        lambda: Rollout(steps=(0, 100)),
        lambda: Rollout(steps=(10, 50)),
        lambda: Rollout(holdback=51),
        lambda: Rollout(keep=-1),
        lambda: Rollout(min_minutes=math.nan),
        lambda: Project(Path("/p"), port=0),
        lambda: Project(Path("/p"), port=65536),
        lambda: ModelConfig("digits", Path("/t"), Path("/v"), cell_timeout_minutes=0),
        lambda: ModelConfig("digits", Path("/t"), Path("/v"), cell_timeout_minutes=math.nan),
        lambda: ModelConfig("Digits", Path("/t"), Path("/v")),
        lambda: Field("x", "complex64"),
        lambda: Signature(Layout.RECORDS, (), (Field("y", "float32"),)),
        lambda: Signature(Layout.TENSOR, (Field("a", "int8"), Field("b", "int8")), (Field("y", "int8"),)),
    ],
)
def test_an_impossible_value_cannot_be_made(make: object) -> None:
    """Each is refused where it would come into being, NaN included."""
    with pytest.raises(BadInput):
        make()  # type: ignore[operator]


def test_boundaries_belong_to_the_allowed_range() -> None:
    """The extreme values that are documented as allowed can be made."""
    assert Threshold("a", min=1, max=1).min == 1
    assert Comparison("a", margin=0, confidence=0.5).margin == 0
    assert Rollout(steps=(100,), holdback=50, keep=0, min_requests=0).steps == (100,)
    assert Project(Path("/p"), port=65535).port == 65535


def test_a_missing_model_is_named_with_those_there_are(tmp_path: Path) -> None:
    """The error lists the models and says how one is added."""
    project = Project(tmp_path, models={"digits": ModelConfig("digits", tmp_path, tmp_path)})
    with pytest.raises(NoSuchModel, match=r"no model 'digit'; it has digits.*tool\.turnout\.models\.digit"):
        project.model("digit")


def test_the_lock_file_is_found_by_its_usual_names(tmp_path: Path) -> None:
    """A project without a lock has none; requirements.lock wins over requirements.txt."""
    found = [Project(tmp_path).lock_file]
    for name in ("requirements.txt", "requirements.lock"):
        (tmp_path / name).touch()
        found.append(Project(tmp_path).lock_file)
    assert found == [None, tmp_path / "requirements.txt", tmp_path / "requirements.lock"]


def check(verdict: Verdict, name: str = "accuracy") -> Check:
    """A check with that verdict."""
    return Check(name, verdict, 0.9, ">= 0.95", {"interval": [0.1, 0.2]}, "a note")


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([], Verdict.PASS),
        ([Verdict.PASS, Verdict.PASS], Verdict.PASS),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], Verdict.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.PASS], Verdict.FAIL),
    ],
)
def test_the_worst_check_decides(verdicts: list[Verdict], whole: Verdict) -> None:
    """A failure outweighs doubt, and doubt a pass."""
    report = GateReport(REF, tuple(check(verdict) for verdict in verdicts))
    assert report.verdict is whole
    assert [found.verdict for found in report.failed()] == [v for v in verdicts if v is not Verdict.PASS]


def test_a_report_comes_back_from_json() -> None:
    """Verdict, checks, evidence and champion survive being stored."""
    report = GateReport(REF, (check(Verdict.FAIL), check(Verdict.PASS, "log_loss")), VersionRef("digits", 6))
    assert GateReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


def test_a_number_that_is_not_finite_becomes_null() -> None:
    """The JSON of a check stays JSON when a metric was NaN."""
    told = Check("accuracy", Verdict.FAIL, math.nan, ">= 0.95").as_dict()
    assert told["observed"] is None
    json.dumps(told, allow_nan=False)


def signature() -> Signature:
    """A classifier of records."""
    return Signature(
        Layout.RECORDS,
        (Field("age", "int64"), Field("job", "string", required=False), Field("image", "uint8", (8, None))),
        (Field("label", "string"), Field("probabilities", "float32", (2,))),
        Task.CLASSIFICATION,
        ("no", "yes"),
    )


def test_a_signature_comes_back_from_json() -> None:
    """Shapes with free axes, optional fields and classes survive."""
    assert Signature.from_dict(json.loads(json.dumps(signature().as_dict()))) == signature()


def test_a_manifest_comes_back_from_its_file(tmp_path: Path) -> None:
    """What a bento says of its model is read as it was written, and equal manifests are equal bytes."""
    manifest = Manifest(REF, "onnx", signature(), "run", {"model": "ab"}, {"age": "x0"}, "", Parity(9, 1e-7, 1.0, 1e-4))
    manifest.write(tmp_path)
    first = (tmp_path / "turnout-model.json").read_bytes()
    assert Manifest.read(tmp_path) == manifest
    manifest.write(tmp_path)
    assert (tmp_path / "turnout-model.json").read_bytes() == first


@pytest.mark.parametrize("content", [None, "", "{}", "{", '{"schema": 2}', '{"schema": 1, "model": "digits"}'])
def test_a_broken_manifest_is_a_package_failure(tmp_path: Path, content: str | None) -> None:
    """Missing, cut, of another schema or incomplete: one error, which says to package again."""
    if content is not None:
        (tmp_path / "turnout-model.json").write_text(content, encoding="utf-8")
    with pytest.raises(PackageFailed, match=r"[Pp]ackage the version again"):
        Manifest.read(tmp_path)


def test_a_package_record_comes_back_from_json() -> None:
    """Proof, checks and the forced reason survive being stored as a tag."""
    record = PackageRecord("digits:7", "b/d", "onnx", "ab", "", Parity(9, 0.0, None, 1e-4), GateReport(REF, ()), "why")
    assert PackageRecord.from_dict(json.loads(json.dumps(record.as_dict()))) == record


def test_a_versions_json_has_what_programs_rely_on() -> None:
    """`version` is the number, `ref` the name, aliases are sorted, times have a zone."""
    created = datetime(2026, 2, 3, tzinfo=UTC)
    told = ModelVersion(REF, "r", "models:/m", created, aliases=frozenset({Alias.LATEST, Alias.CHAMPION})).as_dict()
    assert (told["version"], told["ref"], told["verdict"]) == (7, "digits@7", None)
    assert told["aliases"] == ["champion", "latest"]
    assert told["created"] == "2026-02-03T00:00:00+00:00"
    json.dumps(told, allow_nan=False)
