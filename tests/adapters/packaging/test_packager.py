"""Bentos from logged models, end to end: built, kept, replaced, verified, served, measured and removed."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from pipelines.adapters.packaging import BentoPackager, pins
from pipelines.adapters.packaging.build import PACKAGE, bento_files, build
from pipelines.adapters.packaging.digest import bento_digest
from pipelines.errors import PackageFailed
from pipelines.policy.drift_features import CONFIDENCE, PREDICTION
from pipelines.values import Manifest, VersionRef
from pipelines.values.drift import REFERENCE_NAME, FeatureKind, Reference
from tests.adapters.packaging.conftest import Project
from tests.adapters.packaging.logged import Logged, log, people, warmup
from tests.serving.bentos import ROOT, running_bentoml, running_host


def numbers(folder: Path) -> tuple[Logged, Any]:
    """A regression on two decimals, logged and as it is."""
    rows = people()[["age", "amount"]].astype(float)
    model = LinearRegression().fit(rows, rows.amount)
    return log(folder, model, rows), model


def test_a_packaged_version_is_a_bento_under_its_tag(credit: Project) -> None:
    """BentoML's store has it as credit:1, the record says where, and the steps say what was done."""
    assert credit.record.bento == "credit:1"
    assert credit.record.path == "bentoml/bentos/credit/1"
    assert credit.record.flavour == "onnx"
    assert credit.record.parity is not None
    assert credit.record.parity.rows == len(people())
    assert (credit.state / credit.record.path / "bento.yaml").is_file()
    assert credit.steps == [
        "exporting the sklearn model in a process of its own",
        f"the ONNX export is equal on 200 rows, largest difference {credit.record.parity.max_abs_diff:.2g}",
        "building credit:1",
    ]


def test_the_bento_carries_what_serving_needs_and_no_framework(credit: Project) -> None:
    """Its own copy of the serving code, the manifest, real rows, the graph, pinned requirements; no training."""
    sources = credit.packager.sources(credit.record)

    assert {path.name for path in sources.iterdir()} == {
        "bentofile.yaml",
        "model",
        "pipelines",
        "requirements.txt",
        "service.py",
        "turnout-model.json",
        "turnout-reference.json",
        "warmup.json",
    }
    assert {path.name for path in (sources / "pipelines").iterdir()} - {"__pycache__"} == {
        "__init__.py",
        "errors.py",
        "py.typed",
        "serving",
        "values",
    }
    assert [path.name for path in (sources / "model").iterdir()] == ["model.onnx"]
    required = (sources / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in required)
    names = {line.split("==")[0] for line in required}
    assert names == set(pins.SERVING)
    assert not names & {"mlflow", "scikit-learn", "tensorflow", "pandas"}


def test_the_bento_carries_what_its_validation_rows_look_like(credit: Project) -> None:
    """In bins, by column and for the answers, bounded in size; a missing value among the rows is counted."""
    file = credit.packager.sources(credit.record) / REFERENCE_NAME
    found = Reference.from_dict(json.loads(file.read_text()))

    assert [bins.name for bins in found.inputs] == list(people().columns)
    assert {bins.rows for bins in found.inputs if bins.kind is FeatureKind.NUMBER} == {len(people())}
    (duration,) = [bins for bins in found.inputs if bins.name == "duration"]
    assert duration.counts[-1] == people().duration.isna().sum() > 0
    assert [bins.name for bins in found.answers] == [PREDICTION, CONFIDENCE]
    assert file.stat().st_size < 20_000


def test_the_reference_is_no_part_of_what_is_served(credit: Project, tmp_path: Path) -> None:
    """The same bento has the same digest, whatever the last digits of its answers were."""
    sources = tmp_path / "src"
    shutil.copytree(credit.packager.sources(credit.record), sources)
    (sources / REFERENCE_NAME).unlink()

    assert bento_digest(sources) == credit.record.digest


def test_the_manifest_knows_where_the_version_comes_from(credit: Project) -> None:
    """Run, version and digest of the served model; nothing of this build."""
    manifest = Manifest.read(credit.packager.sources(credit.record))

    assert (manifest.ref, manifest.run_id) == (VersionRef("credit", 1), "run-1")
    assert len(manifest.digests["model"]) == 64
    assert manifest.parity == credit.record.parity


def test_the_host_answers_as_the_original_model_does(credit: Project) -> None:
    """Real rows over HTTP, gaps among them, against the pipeline's own predict_proba."""
    sources = credit.packager.sources(credit.record)
    rows = json.loads((sources / "warmup.json").read_text())["inputs"]
    places = np.unique(np.linspace(0, len(people()) - 1, len(rows)).round().astype(int))
    asked = people().iloc[places]
    with running_host(sources) as host:
        answer = host.predict(rows)

    assert answer.status_code == 200
    outputs = answer.json()["outputs"]
    assert [row["label"] for row in outputs] == credit.model.predict(asked).tolist()
    np.testing.assert_allclose([row["probabilities"] for row in outputs], credit.model.predict_proba(asked), atol=1e-4)


def test_plain_bentoml_serves_the_bento_by_its_tag(credit: Project) -> None:
    """`bentoml serve credit:1` with the project's store runs it too, from below a hidden folder."""
    row = warmup(credit.packager.sources(credit.record))[0]
    with running_bentoml(Path("credit:1"), credit.state / "bentoml") as server:
        answer = server.predict([row])

    assert answer.status_code == 200
    assert answer.headers["x-model-version"] == "credit@1"


def test_the_same_job_gives_the_same_digest_and_keeps_the_bento(credit: Project) -> None:
    """Nothing is built a second time: the very same folder stays."""
    bento = credit.state / credit.record.path
    before = (bento.stat().st_ino, (bento / "bento.yaml").read_bytes())
    steps: list[str] = []
    again = credit.packager.package(credit.logged.job(), steps.append)

    assert again == credit.record
    assert (bento.stat().st_ino, (bento / "bento.yaml").read_bytes()) == before
    assert steps[-1] == "credit:1 is there already, and equal"


def test_a_measure_is_that_of_the_bento_alone(credit: Project) -> None:
    """Seconds to the first answer, p95 of one-row requests, resident memory; and no process or socket is left."""
    found = credit.packager.measure(credit.record)

    assert found.requests == 300
    assert 0 < found.latency_p95_ms < found.start_seconds * 1e3
    assert 20 < found.memory_mb < 2000
    log = (credit.state / "logs" / "measure-credit-1.log").read_text()
    assert "credit@1" in log


def test_a_changed_bento_is_noticed(credit: Project, tmp_path: Path) -> None:
    """A byte in the model, a file more: the version is no longer what was proved, and the message says the cure."""
    state = tmp_path / ".turnout"
    shutil.copytree(credit.state / credit.record.path, state / credit.record.path)
    packager = BentoPackager(state, tmp_path)
    sources = packager.sources(credit.record)
    (sources / "pipelines" / "__pycache__").mkdir(exist_ok=True)
    (sources / "pipelines" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"compiled by a host")
    assert packager.sources(credit.record) == sources

    (sources / "pipelines" / "more.py").write_text("x = 1\n")
    with pytest.raises(PackageFailed, match=r"was changed after it was packaged.*`turnout package credit@1`"):
        packager.sources(credit.record)
    (sources / "pipelines" / "more.py").unlink()
    graph = bytearray((sources / "model" / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (sources / "model" / "model.onnx").write_bytes(graph)
    with pytest.raises(PackageFailed, match=r"was changed after it was packaged"):
        packager.measure(credit.record)


def test_a_bento_that_is_gone_is_noticed(credit: Project, tmp_path: Path) -> None:
    """The message says how to make it again; removing it again frees nothing."""
    packager = BentoPackager(tmp_path / ".turnout", tmp_path)

    with pytest.raises(PackageFailed, match=r"the bento credit:1 is gone\. `turnout package credit@1`"):
        packager.sources(credit.record)
    assert packager.remove(credit.record) == 0


def test_removing_frees_what_the_bento_held(credit: Project, tmp_path: Path) -> None:
    """The folder is gone, and its bytes are counted."""
    state = tmp_path / ".turnout"
    bento = state / credit.record.path
    shutil.copytree(credit.state / credit.record.path, bento)
    held = sum(path.stat().st_size for path in bento.rglob("*") if path.is_file())

    assert BentoPackager(state, tmp_path).remove(credit.record) == held
    assert not bento.exists()
    assert [path.name for path in (state / "tmp").iterdir() if path.is_dir()] == []


def test_native_replaces_the_bento_and_serves_the_original(tmp_path: Path) -> None:
    """--native carries MLflow's folder and its framework in place of the ONNX one, and answers as the model does."""
    logged, model = numbers(tmp_path)
    packager = BentoPackager(tmp_path / ".turnout", tmp_path)
    first = packager.package(logged.job(), lambda _: None)
    steps: list[str] = []
    native = packager.package(logged.job(native=True, forced="we asked"), steps.append)
    sources = packager.sources(native)

    assert (native.flavour, native.reason, native.parity) == ("sklearn", "asked for with --native", None)
    assert native.forced == "we asked"
    assert native.digest != first.digest
    assert "carrying the original sklearn model: asked for with --native" in steps
    assert (sources / "model" / "MLmodel").is_file()
    names = {line.split("==")[0] for line in (sources / "requirements.txt").read_text().splitlines()}
    assert {"mlflow-skinny", "scikit-learn", "pandas"} <= names
    assert "mlflow" not in names
    with pytest.raises(PackageFailed, match="was changed"):
        packager.sources(first)

    asked = warmup(sources)[:3]
    with running_host(sources) as host:
        outputs = host.predict(asked).json()["outputs"]
    assert outputs == pytest.approx(model.predict(pd.DataFrame(asked)).tolist())


def test_two_commands_for_one_version_at_once_make_one_bento(credit: Project, tmp_path: Path) -> None:
    """The second waits for the first; both report the same digest, and nothing is left behind."""
    command = [sys.executable, "-m", "tests.adapters.packaging.command", str(tmp_path / ".turnout")]
    command += [str(credit.logged.model), str(credit.logged.rows), "1"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in both]

    assert [one.get("digest") for one in said] == [credit.record.digest] * 2
    assert [path.name for path in (tmp_path / ".turnout" / "tmp").iterdir() if path.is_dir()] == []


def test_requirements_are_what_the_carried_code_imports() -> None:
    """Every package that serving, values or service.py import is pinned; two more are named to uvicorn."""
    carried = [PACKAGE.parent / "service.py", PACKAGE / "errors.py"]
    carried += [path for name in ("serving", "values") for path in (PACKAGE / name).rglob("*.py")]
    imported = set()
    for path in carried:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    theirs = {name.replace("_", "-") for name in imported - set(sys.stdlib_module_names) - {"pipelines"}}
    frameworks = {"mlflow", "pandas", "tensorflow", "torch", "xgboost"}  # a native bento's own
    comes_with_bentoml = {"attr", "pydantic", "starlette"}

    assert theirs - frameworks - comes_with_bentoml == set(pins.SERVING) - {"httptools", "uvloop"}


def test_a_native_bento_pins_bare_requirements_and_keeps_pinned_ones(tmp_path: Path) -> None:
    """The model's own list wins; MLflow comes without its server; what names no package is refused."""
    listed = tmp_path / "requirements.txt"
    (tmp_path / "MLmodel").write_text("flavors:\n  sklearn:\n    serialization_format: skops\n")
    listed.write_text("# comment\nmlflow==3.1\nscikit-learn==1.5.0\npsutil\npandas>=2 # any\n")
    lines = pins.native_pins("sklearn", tmp_path)

    assert "scikit-learn==1.5.0" in lines
    assert "pandas>=2" in lines
    assert [line for line in lines if line.startswith("psutil==")]
    assert [line for line in lines if line.startswith("skops==")]
    assert not [line for line in lines if line.startswith("mlflow==")]
    assert [line for line in lines if line.startswith("mlflow-skinny==")]
    listed.write_text("-e ./mine\n")
    with pytest.raises(PackageFailed, match=r"'-e \./mine', which names no package"):
        pins.native_pins("sklearn", tmp_path)


def test_a_project_with_a_bentofile_of_its_own_uses_it(credit: Project, tmp_path: Path) -> None:
    """Its bentofile, its service and what it includes are in the bento; a service.py alone is somebody else's."""
    (tmp_path / "service.py").write_text("raise SystemExit('not a bento')\n")
    assert bento_files(tmp_path) == (PACKAGE.parent / "service.py", PACKAGE.parent / "bentofile.yaml")

    ours = (PACKAGE.parent / "service.py").read_text()
    (tmp_path / "service.py").write_text(ours + "\nfrom extra import NAME  # noqa\n")
    (tmp_path / "extra.py").write_text("NAME = 'extra'\n")
    bentofile = (PACKAGE.parent / "bentofile.yaml").read_text()
    (tmp_path / "bentofile.yaml").write_text(bentofile.replace("include:", "include:\n  - extra.py"))
    packager = BentoPackager(tmp_path / ".turnout", tmp_path)
    record = packager.package(credit.logged.job(), lambda _: None)

    assert (packager.sources(record) / "extra.py").is_file()
    assert record.digest != credit.record.digest


def test_a_bentofile_that_leaves_files_out_is_refused(credit: Project, tmp_path: Path) -> None:
    """A bento without its rows would fail when it starts; the missing file is named."""
    stage = tmp_path / "stage"
    compiled = shutil.ignore_patterns("__pycache__")  # by a host of it, which no build takes along
    shutil.copytree(credit.packager.sources(credit.record), stage, ignore=compiled)
    bentofile = (PACKAGE.parent / "bentofile.yaml").read_text()
    (stage / "bentofile.yaml").write_text(bentofile.replace("  - warmup.json\n", ""))
    with pytest.raises(PackageFailed, match=r"it has no warmup\.json; the `include` of bentofile\.yaml"):
        build(tmp_path, VersionRef("credit", 1), tmp_path / "build.log")


def test_a_service_that_does_not_import_is_refused_with_its_reason(credit: Project, tmp_path: Path) -> None:
    """What BentoML says stands in the error, and all of it in the log."""
    stage = tmp_path / "stage"
    shutil.copytree(credit.packager.sources(credit.record), stage)
    (stage / "service.py").write_text("import no_such_module\n")
    with pytest.raises(PackageFailed, match=r"BentoML could not build credit:1: .*no_such_module.*build\.log"):
        build(tmp_path, VersionRef("credit", 1), tmp_path / "build.log")


def test_a_bento_that_refuses_its_own_rows_is_not_measured(credit: Project, tmp_path: Path) -> None:
    """A host that cannot answer the warm-up ends, and the measure says so with its last words."""
    state = tmp_path / ".turnout"
    shutil.copytree(credit.state / credit.record.path, state / credit.record.path)
    sources = state / credit.record.path / "src"
    (sources / "warmup.json").write_text('{"inputs": [{"age": "old"}]}')
    changed = replace(credit.record, digest=bento_digest(sources))
    with pytest.raises(
        PackageFailed, match=r"the host of credit:1 ended while starting, with code 1: .*lacks the field 'amount'"
    ):
        BentoPackager(state, tmp_path).measure(changed)
