"""The line for a table of mixed columns: a scikit-learn pipeline, with everything a person may get wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.policy.drift import judge
from pipelines.policy.drift_features import tally_answers, tally_rows
from pipelines.values import Manifest
from pipelines.values.drift import REFERENCE_NAME, DriftSettings, FeatureKind, Reference
from tests.e2e.cells import DECIDE, EUROS, cells
from tests.e2e.line import ROOT, ProjectFolder, make_project, post

NOTEBOOKS = ROOT / "tests" / "notebooks"

CREDIT = """
[tool.turnout.models.credit]
train = "notebooks/credit/train.ipynb"
validate = "notebooks/credit/validate.ipynb"
cell_timeout_minutes = 5

[tool.turnout.models.credit.gates]
accuracy = { min = 0.6 }
accuracy_vs_champion = { margin = 0.05 }

[tool.turnout.models.credit.gates.serving]
start_seconds = 60
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectFolder]:
    """A project that two people train in at once, before anything else was ever run in it."""
    with make_project(tmp_path_factory.mktemp("credit"), CREDIT, credit=NOTEBOOKS / "credit").warm() as folder:
        both = [folder.start("train", "credit", "--json") for _ in range(2)]
        ended = [process.communicate(timeout=500) for process in both]
        assert [process.returncode for process in both] == [0, 0], ended
        assert {json.loads(out)["version"] for out, _ in ended} == {1, 2}
        yield folder


@pytest.fixture(scope="module")
def report(project: ProjectFolder) -> dict[str, Any]:
    """The JSON of the first version's `validate`."""
    return dict(project.json("validate", "credit@1"))


@pytest.fixture(scope="module")
def packaged(project: ProjectFolder, report: dict[str, Any]) -> dict[str, Any]:
    """The first version, judged and packaged; the JSON of `package`."""
    return dict(project.json("package", report["ref"]))


@pytest.fixture(scope="module")
def url(project: ProjectFolder, packaged: dict[str, Any]) -> Iterator[str]:
    """The first version, served."""
    with project.serving(packaged["ref"]) as address:
        yield address


@pytest.fixture(scope="module")
def validation(project: ProjectFolder, packaged: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first version's validation rows, and what the original model said of them."""
    assert packaged["version"] == 1
    folder = min(project.state.glob("artifacts/**/validation"), key=lambda path: path.stat().st_mtime)
    return pd.read_parquet(folder / "inputs.parquet"), pd.read_parquet(folder / "predictions.parquet")


def test_a_report_says_what_was_seen_and_asked(report: dict[str, Any]) -> None:
    """`validate --json` has a list of checks with name, verdict, observed and required, beside the version's facts."""
    assert report["verdict"] == "PASS"
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["accuracy"]["verdict"] == "PASS"
    assert checks["accuracy"]["observed"] >= 0.6
    assert "0.6" in checks["accuracy"]["required"]
    assert {"run_id", "metrics", "parameters", "version"} <= set(report)


def test_the_first_version_has_nothing_to_be_compared_with(report: dict[str, Any]) -> None:
    """Without a champion a comparison says so and does not block."""
    check = next(check for check in report["checks"] if check["name"] == "accuracy_vs_champion")
    assert check["verdict"] == "PASS"
    assert check["observed"] is None
    assert "champion" in check["note"]


def test_records_get_the_original_models_answers(url: str, validation: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Rows are JSON objects of mixed types with missing values; label and probabilities come back."""
    rows, predicted = validation
    records = json.loads(rows.to_json(orient="records"))
    status, answer, _ = post(f"{url}/predict", {"inputs": records})
    assert status == 200, answer
    assert [row["label"] for row in answer["outputs"]] == predicted["prediction"].tolist()
    names = [name for name in predicted if name.startswith("probability_")]
    served = np.asarray([row["probabilities"] for row in answer["outputs"]])
    np.testing.assert_allclose(served, predicted[names].to_numpy(), atol=1e-4)


def test_requests_fall_into_the_bins_of_the_validation_rows(
    project: ProjectFolder, packaged: dict[str, Any], url: str, validation: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """The same rows, as JSON, and their answers by HTTP: what is counted of them is what the bento's reference has."""
    sources = project.state / packaged["path"] / "src"
    reference = Reference.from_dict(json.loads((sources / REFERENCE_NAME).read_text(encoding="utf-8")))
    records = json.loads(validation[0].to_json(orient="records"))
    counted = tally_rows(reference, Manifest.read(sources).interface, records)
    numbers = [bins for bins in reference.inputs if bins.kind is FeatureKind.NUMBER]
    assert [bins.name for bins in reference.inputs] == list(validation[0].columns)
    assert {bins.name: bins.counts for bins in numbers} == {bins.name: counted[bins.name][:-1] for bins in numbers}
    findings = judge(reference, counted, DriftSettings(min_psi=0))
    assert [one.feature for one in findings if one.is_drift] == []
    answers = tally_answers(reference, post(f"{url}/predict", {"inputs": records})[1]["outputs"])
    assert [bins.name for bins in reference.answers] == list(answers)
    for bins in reference.answers:
        # An export's probability may lie on the other side of an end.
        apart = sum(abs(ours - theirs) for ours, theirs in zip(bins.counts, answers[bins.name], strict=False))
        assert bins.kind is FeatureKind.CATEGORY or apart <= 4


def test_a_wrong_field_is_named(url: str, validation: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Each wrong request is a 4xx whose message names the field; the host still answers afterwards."""
    rows, _ = validation
    good = json.loads(rows.head(1).to_json(orient="records"))[0]
    number = next(name for name, kind in rows.dtypes.items() if kind.kind == "f" and not rows[name].isna().any())
    missing = {name: value for name, value in good.items() if name != number}
    for inputs, named in [
        ([missing], number),
        ([{**good, number: "much"}], number),
        ([{**good, number: None}], number),
        ([{**good, "unheard_of": 1}], "unheard_of"),
        ([], "inputs"),
        ("text", "inputs"),
        ([[1, 2, 3]], "inputs"),
    ]:
        status, answer, _ = post(f"{url}/predict", {"inputs": inputs})
        assert 400 <= status < 500, (inputs, answer)
        assert named in json.dumps(answer), (inputs, answer)
    assert post(f"{url}/predict", {"inputs": [good]})[0] == 200


def test_promoting_and_comparing(project: ProjectFolder, packaged: dict[str, Any]) -> None:
    """A promoted version is the champion, the next is compared with it; promoting again changes nothing."""
    assert project.json("promote", packaged["ref"])["aliases"] == ["champion"]
    assert project.json("promote", packaged["ref"])["aliases"] == ["champion"]
    report = project.json("validate", "credit@2", code=None)
    check = next(check for check in report["checks"] if check["name"] == "accuracy_vs_champion")
    assert report["champion"] == "credit@1"
    # Both were trained alike: the paired difference is exactly nothing.
    assert check["observed"] == 0
    assert check["verdict"] == "PASS"
    assert project.json("versions", "credit")["versions"][0]["verdict"] == "PASS"


def test_a_bento_that_was_changed_is_not_served(project: ProjectFolder) -> None:
    """A bento whose files differ from what was recorded is refused with the command that makes it again."""
    record = project.json("package", "credit@2")
    service = project.state / record["path"] / "src" / "service.py"
    service.write_text(service.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    done = project.turnout("serve", "credit@2", code=1)
    assert "turnout package credit@2" in done.err
    assert project.json("package", "credit@2")["digest"] == record["digest"]


def test_a_cell_is_tried_on_real_rows(project: ProjectFolder) -> None:
    """What the validation rows bring to light is one line in the notebook, and nothing is stored."""
    bad = EUROS.replace('pop("euros")', 'pop("lost")')
    done = cells(project, ("preprocess", "credit", bad))
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "BadServiceCode: line 9 of preprocess raised KeyError: 'lost'" in said
    assert "Traceback" not in said
    assert not (project.root / "notebooks" / "credit" / "preprocess.py").exists()


def test_functions_from_cells_stand_around_the_next_version(
    project: ProjectFolder, validation: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """The same model under a new number, without training; it takes and answers what its functions say."""
    done = cells(project, ("preprocess", "credit --rows shown.json", EUROS), ("postprocess", "credit", DECIDE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rows, around the model of credit@2" in done.stdout
    refused = project.turnout("package", "credit@2", code=1)
    assert "turnout ship credit" in refused.err
    shipped = project.json("ship", "credit")
    assert shipped["ref"] == "credit@3"
    assert [step["outcome"] for step in shipped["steps"]] == ["reused", "reused", "done"]
    assert shipped["package"]["flavour"] == "onnx"
    assert sorted(shipped["package"]["service_code"]) == ["postprocess", "preprocess", "rows"]
    rows, predicted = validation
    sent = json.loads(rows.to_json(orient="records"))
    for row in sent:
        row["euros"] = row.pop("income") / 1.08
    with project.serving("credit@3") as address:
        status, answer, _ = post(f"{address}/predict", {"inputs": sent})
        assert status == 200, answer
        status, refusal, _ = post(f"{address}/predict", {"inputs": [{**sent[0], "income": 1.0}]})
        assert status == 400
        assert "unknown field 'income'" in refusal["error"]["message"]
    good = predicted["probability_good"].to_numpy()
    np.testing.assert_allclose([row["good"] for row in answer["outputs"]], good, atol=2e-4)
    clear = abs(good - 0.7) > 1e-4
    accepted = np.array([row["accept"] for row in answer["outputs"]])
    assert (accepted == (good > 0.7))[clear].all()


def test_a_bento_with_a_changed_function_is_refused(project: ProjectFolder) -> None:
    """Like one with a changed model, before anything is started from it; without functions the old version is it."""
    record = project.json("versions", "credit")["versions"][0]["package"]
    path = project.state / record["path"] / "src" / "service_code" / "postprocess.py"
    path.write_text(path.read_text().replace("0.7", "0.1"))
    assert "was changed after it was packaged" in project.turnout("serve", "credit@3", code=1).err
    done = cells(project, ("preprocess", "credit --remove", ""), ("postprocess", "credit --remove", ""))
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.json("ship", "credit")["ref"] == "credit@2"


def test_prune_spares_what_is_in_use(project: ProjectFolder, packaged: dict[str, Any]) -> None:
    """Neither the champion nor the newest goes, whatever `--keep` says; without a person it asks for --yes."""
    assert packaged["ref"] == "credit@1"
    both = [project.start("train", "credit") for _ in range(2)]
    assert [process.communicate(timeout=500) and process.returncode for process in both] == [0, 0]
    would = project.json("prune", "credit", "--keep", "0", "--dry-run")
    assert would["dry_run"] is True
    assert "credit@1" not in would["removed"]
    refused = project.turnout("prune", "credit", "--keep", "0", code=2)
    assert "--yes" in refused.err
    done = project.json("prune", "credit", "--keep", "0", "--yes")
    assert done["removed"] == would["removed"]
    assert done["freed"] > 0
    left = {version["ref"] for version in project.json("versions", "credit")["versions"]}
    assert left == {"credit@1", "credit@5"}
    assert not (project.state / "bentoml" / "bentos" / "credit" / "2").exists()
    # A number is never given twice.
    assert project.json("train", "credit")["ref"] == "credit@6"


WRONG_CALLS = [
    (["train", "credit", "-p", "unheard_of", "1"], "unheard_of"),
    (["train", "credit", "-p", "seed", "seven"], "seed"),
    (["train", "credit", "-p", "seed = 1; import os #", "1"], "import os"),
    (["train", "nobody"], "nobody"),
    (["validate", "credit@99"], "99"),
    (["validate", "credit@first"], "first"),
    (["package", "credit@99"], "99"),
    (["promote", "credit@previous"], "previous"),
    (["serve", "credit@1", "--port", "65536"], "port"),
]


def test_a_wrong_call_says_what_and_changes_nothing(project: ProjectFolder) -> None:
    """Exit code 2 and a line on stderr that names what was wrong; there is no new version after all of them."""
    before = project.json("versions", "credit")
    for arguments, said in WRONG_CALLS:
        done = project.turnout(*arguments, code=2)
        assert said in done.err, arguments
        assert done.out == "", arguments
    assert project.json("versions", "credit") == before


def test_a_failed_gate_stops_the_line(project: ProjectFolder) -> None:
    """A version below a threshold ends `validate` with 1 and is not packaged, unless forced with a reason."""
    (project.root / "pyproject.toml").write_text(CREDIT.replace("min = 0.6", "min = 0.999"), encoding="utf-8")
    shipped = project.json("ship", "credit", "-p", "seed", "11", code=1)
    assert [step["outcome"] for step in shipped["steps"]] == ["done", "failed"]
    ref = shipped["ref"]
    done = project.turnout("validate", ref, code=1)
    assert "FAIL" in done.out
    assert "0.999" in done.out
    refused = project.turnout("package", ref, code=1)
    assert "accuracy" in refused.err
    assert "--force" in refused.err
    project.turnout("package", ref, "--force", code=2)
    forced = project.json("package", ref, "--force", "--reason", "a trial")
    assert forced["forced"] == "a trial"
    newest = project.json("versions", "credit")["versions"][0]
    assert (newest["ref"], newest["package"]["forced"]) == (ref, "a trial")
