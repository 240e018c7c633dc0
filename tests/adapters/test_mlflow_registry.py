"""MLflow's registry beyond the contract: several processes, moved folders, and what MLflow says."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.adapters.mlflow_registry import MlflowRegistry, reader
from pipelines.adapters.mlflow_registry.client import open_client, quiet
from pipelines.adapters.mlflow_registry.store import Store
from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.adapters.version_numbers import champion_number
from pipelines.errors import BadProject, StorageFailed
from pipelines.ports import NotebookJob
from pipelines.values import Check, Dependencies, Evidence, GateReport, Provenance, Verdict
from tests.adapters.mlflow_runs import log_run
from tests.adapters.mlflow_versions import files_below, registered, trained
from tests.fakes import FakeRun

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "tests" / "notebooks"
pytestmark = pytest.mark.usefixtures("nothing_beside")


# Several processes.

RACE = """
import json, os, sys
from pathlib import Path

import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.values import Provenance
from tests.adapters.mlflow_runs import log_run
from tests.fakes import FakeRun

state, count = Path(sys.argv[1]), int(sys.argv[2])
go, ready = os.pipe()
children = []
for number in range(count):
    child = os.fork()
    if child == 0:
        os.close(ready)
        os.read(go, 1)  # returns when the parent closes its end: all begin at once
        registry = MlflowRegistry(state)
        log_run(registry.environment(f"tag-{number}"), FakeRun())
        (run,) = registry.runs(f"tag-{number}")
        for _ in range(4):
            version = registry.register("digits", run, run.models[0], {"number": number}, Provenance())
        registry.set_champion(version.ref)
        os._exit(0)
    children.append(child)
os.close(go)
os.close(ready)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


def test_eight_processes_begin_at_once_in_a_fresh_project(tmp_path: Path) -> None:
    """Each finds a whole store, writes into it and gets numbers of its own; nothing is said on stderr."""
    state = tmp_path / ".turnout"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RACE, str(state), "8"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [0] * 8
    versions = MlflowRegistry(state).versions("digits")
    assert [version.ref.number for version in versions] == list(range(32, 0, -1))
    assert sum("champion" in version.aliases for version in versions) == 1
    assert len({version.parameters["number"] for version in versions}) == 8


def test_a_killed_creation_is_begun_again(tmp_path: Path) -> None:
    """What a process left half-made does not matter, nor does an empty file in the store's place."""
    state = tmp_path / ".turnout"
    state.mkdir()
    (state / "mlflow.db.new").write_bytes(b"half a store")
    (state / "mlflow.db.new-journal").write_bytes(b"half a journal")
    (state / "mlflow.db").touch()
    registry = MlflowRegistry(state)
    assert registered(registry).ref.number == 1
    assert {path.name for path in state.iterdir()} == {"mlflow.db", "artifacts", "mlflow.lock"}


# Notebooks in real kernels.


def run_notebook(state: Path, registry: MlflowRegistry, name: str) -> Path:
    """Run a test notebook in a folder of its own; return the folder."""
    home = state.parent / "notebooks"
    home.mkdir(exist_ok=True)
    shutil.copy(NOTEBOOKS / "odd" / name, home)
    output = state / "runs" / name
    PapermillRunner().run(NotebookJob(home / name, output, state.parent, {}, registry.environment(name)), print)
    return home


@pytest.mark.parametrize("name", ["own_experiment.ipynb", "two_runs.ipynb"])
def test_a_notebooks_runs_are_found_and_nothing_lies_beside_it(state: Path, name: str) -> None:
    """With an experiment and autolog of its own, or with two runs: the model is found, all files are in the store."""
    registry = MlflowRegistry(state)
    home = run_notebook(state, registry, name)
    runs = registry.runs(name)
    assert len(runs) == (2 if name == "two_runs.ipynb" else 1)
    ((run, logged),) = [(run, model) for run in runs for model in run.models]
    assert run.metrics
    assert run.parameters
    version = registry.register("digits", run, logged, {}, Provenance())
    assert registry.local_model(version).is_relative_to(state / "artifacts")
    assert files_below(home) == {name}
    assert {path.name for path in state.parent.iterdir()} == {".turnout", "notebooks"}


def test_a_model_is_loaded_by_its_uri_with_nothing_but_the_environment(state: Path) -> None:
    """`models:/m-...`, as a validation notebook gets it, leads to the files in the store."""
    registry = MlflowRegistry(state)
    version = registered(registry)
    code = "import sys, mlflow; print(mlflow.artifacts.download_artifacts(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, version.model_uri],
        env={**os.environ, **registry.environment("tag")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert Path(done.stdout.strip()).resolve() == registry.local_model(version)


def test_the_environment_ties_a_kernel_to_this_registry_alone(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, experiments and models that this process happens to have active are not handed on; its own tags are."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_ACTIVE_MODEL_ID"):
        monkeypatch.setenv(name, "of another store")
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", '{"team": "blue"}')
    environment = MlflowRegistry(state).environment("tag-1")
    assert environment["MLFLOW_TRACKING_URI"] == environment["MLFLOW_REGISTRY_URI"] == f"sqlite:///{state}/mlflow.db"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert json.loads(environment["MLFLOW_RUN_CONTEXT"]) == {"team": "blue", "turnout.execution": "tag-1"}
    assert [environment[name] for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_ACTIVE_MODEL_ID")] == [
        ""
    ] * 3
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", "no JSON")
    environment = MlflowRegistry(state).environment("tag-1")
    assert json.loads(environment["MLFLOW_RUN_CONTEXT"]) == {"turnout.execution": "tag-1"}


# Folders.


@pytest.mark.parametrize("name", ["my project #1", "100% ü", "it's"])
def test_a_projects_folder_may_have_an_odd_name(mlflow_template: Path, tmp_path: Path, name: str) -> None:
    """Spaces, hashes, percent signs, quotes and umlauts: written, read and removed like any other."""
    state = Path(shutil.copytree(mlflow_template, tmp_path / name / ".turnout"))
    registry = MlflowRegistry(state)
    one = registered(registry, experiment="mine")
    registered(registry, "other")
    assert registry.local_model(one).is_relative_to(state / "artifacts")
    assert registry.delete(one.ref) > 1000
    assert {path.name for path in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize("name", ["what?", "a%20b"])
def test_a_folder_that_mlflow_cannot_open_is_named(tmp_path: Path, name: str) -> None:
    """MLflow would wait a hundred seconds, or make a folder of another name: refused at once, nothing is made."""
    with pytest.raises(BadProject, match="Rename the folder"):
        MlflowRegistry(tmp_path / name / ".turnout").environment("tag")
    assert list(tmp_path.iterdir()) == []


def test_a_moved_project_finds_its_models(state: Path) -> None:
    """MLflow keeps absolute paths: after a move the old ones are corrected, and new files go to the new place."""
    version = registered(MlflowRegistry(state), experiment="mine")
    moved = state.parent.with_name("moved") / ".turnout"
    state.parent.rename(moved.parent)
    registry = MlflowRegistry(moved)
    assert registry.local_model(registry.get(version.ref)).is_relative_to(moved)
    again = registered(registry, "again", experiment="mine")
    fresh = registered(registry, "fresh", experiment="another")
    assert all(registry.local_model(each).is_relative_to(moved) for each in (again, fresh))
    assert not state.parent.exists()
    assert registry.delete(version.ref) > 1000


def test_removing_in_a_copy_leaves_the_original(state: Path) -> None:
    """A copied project owns its copies, and nothing of the project it came from."""
    original = MlflowRegistry(state)
    version = registered(original)
    registered(original, "second")
    before = files_below(state / "artifacts")
    copy = Path(shutil.copytree(state, state.parent.with_name("copy") / ".turnout"))
    assert MlflowRegistry(copy).delete(version.ref) > 1000
    assert files_below(state / "artifacts") == before
    assert original.local_model(version).is_dir()


# What MLflow says.


def test_what_is_read_from_the_tables_is_what_mlflow_says(state: Path) -> None:
    """Versions, tags, aliases, metrics and places are those that MLflow's own client reports."""
    registry = MlflowRegistry(state)
    for number in range(3):
        registered(registry, f"tag-{number}", experiment="mine" if number else "")
    registry.set_champion(registry.versions("digits")[1].ref)
    with quiet():
        client = open_client(registry.environment("tag")["MLFLOW_TRACKING_URI"])
        said = sorted(client.search_model_versions("name = 'digits'"), key=lambda version: -int(version.version))
        runs = [client.get_run(version.run_id) for version in said]
        models = [
            client.get_logged_model(version.tags["turnout.model_uri"].removeprefix("models:/")) for version in said
        ]
        champion = client.get_model_version_by_alias("digits", "champion").version
    ours = registry.versions("digits")
    assert champion_number(state / "mlflow.db", "digits") == int(champion)
    assert champion_number(state / "mlflow.db", "credit") is None
    assert [version.ref.number for version in ours] == [int(version.version) for version in said]
    assert [version.run_id for version in ours] == [version.run_id for version in said]
    assert [version.metrics for version in ours] == [run.data.metrics for run in runs]
    assert [round(version.created.timestamp() * 1000) for version in ours] == [v.creation_timestamp for v in said]
    assert [registry.local_model(version).as_uri() for version in ours] == [model.artifact_location for model in models]
    assert [version.ref.number for version in ours if "champion" in version.aliases] == [int(champion)]
    assert {run.data.tags["turnout.version"] for run in runs} == {"digits@1", "digits@2", "digits@3"}


def test_reading_versions_takes_the_same_few_queries_whatever_their_number(state: Path) -> None:
    """Two hundred versions cost as many statements as one."""
    registry = MlflowRegistry(state)
    run = trained(registry)
    store = Store(state)

    def statements() -> int:
        said: list[str] = []
        with store.reading() as base:
            base.set_trace_callback(said.append)
            assert reader.read_versions(store, base, "digits")
        return len(said)

    registry.register("digits", run, run.models[0], {}, Provenance())
    for_one = statements()
    for _ in range(4):
        version = registry.register("digits", run, run.models[0], {}, Provenance())
        registry.record_report(GateReport(version.ref, ()), Evidence(run.run_id, {}))
    assert statements() == for_one <= 6


def test_versions_are_read_without_mlflow(state: Path) -> None:
    """Neither the import nor reading loads MLflow, pandas or SQLAlchemy."""
    registered(MlflowRegistry(state))
    code = (
        "import sys; from pathlib import Path; from pipelines.adapters.mlflow_registry import MlflowRegistry\n"
        "assert MlflowRegistry(Path(sys.argv[1])).versions('digits')\n"
        "print([name for name in ('mlflow', 'pandas', 'sqlalchemy', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(state)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_version_of_an_earlier_release_is_read(state: Path) -> None:
    """It has no digest of modules and no parts: what it has still says what it was made from."""
    registry = MlflowRegistry(state)
    version = registered(registry)
    with closing(sqlite3.connect(state / "mlflow.db")) as base, base:
        later = ("turnout.code_digest", "turnout.upstream_digest", "turnout.parts")
        for name in later:
            base.execute("DELETE FROM model_version_tags WHERE key = ?", (name,))
    found = registry.get(version.ref).provenance
    assert (found.notebook_digest, found.code_digest, found.parts) == ("n", "", None)


def test_parts_that_fit_no_tag_are_left_out(state: Path) -> None:
    """MLflow would refuse the whole version: only the reason of a change is coarser without them."""
    registry = MlflowRegistry(state)
    run = trained(registry)
    many = Dependencies(inputs={f"data/{number}.csv": "0" * 16 for number in range(5000)})
    version = registry.register("digits", run, run.models[0], {}, Provenance("n", parts=many))
    assert version.provenance.parts is None
    evidence = Evidence(run.run_id, {}, key="key", parts=many, judged_key="judged")
    judged = registry.record_report(GateReport(version.ref, ()), evidence)
    assert (judged.validation_parts, judged.judged_key, judged.report) == (None, "judged", GateReport(version.ref, ()))


def test_versions_that_others_registered_are_not_ours(state: Path) -> None:
    """What a notebook registers by itself has a number in MLflow, and is no version of Turnout's."""
    registry = MlflowRegistry(state)
    run = trained(registry)
    with quiet():
        client = open_client(registry.environment("tag")["MLFLOW_TRACKING_URI"])
        client.create_registered_model("digits")
        client.create_model_version("digits", str(state), run.run_id)
        client.set_registered_model_alias("digits", "somebodys", "1")
    assert registry.versions("digits") == []
    version = registry.register("digits", run, run.models[0], {}, Provenance())
    assert [each.ref.number for each in registry.versions("digits")] == [version.ref.number] == [2]


def test_a_report_longer_than_a_tag_is_read_from_the_run(state: Path) -> None:
    """MLflow's tags end at 100,000 characters: a longer report stands in the validation run's gates.json."""
    registry = MlflowRegistry(state)
    version = registered(registry)
    checks = tuple(Check(f"gate-{n}", Verdict.PASS, 1.0, ">= 0", {"why": "x" * 1000}) for n in range(150))
    report = GateReport(version.ref, checks)
    validation = trained(registry, "validation")
    assert registry.record_report(report, Evidence(validation.run_id, {})).report == report
    (file,) = state.rglob("turnout/gates.json")
    assert len(json.loads(file.read_text())["checks"]) == 150
    file.unlink()
    with pytest.raises(StorageFailed, match=r"gates\.json"):
        registry.versions("digits")


# Removing.


def test_runs_and_models_that_another_version_needs_stay(state: Path) -> None:
    """Two versions of one run: removing the first leaves the run and the model to the second."""
    registry = MlflowRegistry(state)
    run = trained(registry)
    one, two = (registry.register("digits", run, run.models[0], {}, Provenance()) for _ in range(2))
    assert registry.delete(one.ref) == 0
    assert registry.local_model(two).is_dir()
    assert registry.runs("tag") == [run]


def test_removing_frees_all_that_the_executions_left(state: Path) -> None:
    """Helper runs of the training, earlier validations and attached files go as well; no other file does."""
    registry = MlflowRegistry(state)
    kept = registered(registry, "kept")
    before = files_below(state / "artifacts")
    log_run(registry.environment("doomed"), FakeRun({"tried": 1}, models=("draft",)))
    doomed = registered(registry, "doomed")
    for _ in range(2):
        validation = trained(registry, "validation")
        registry.record_report(GateReport(doomed.ref, ()), Evidence(validation.run_id, {}))
        registry.attach(validation.run_id, NOTEBOOKS / "odd" / "speaks.ipynb", "notebooks/validate")
    latest = registered(registry, "latest")
    latest_files = {path for path in files_below(state / "artifacts") if latest.model_uri.rpartition("/")[2] in path}
    size = sum((state / "artifacts" / path).stat().st_size for path in files_below(state / "artifacts"))
    freed = registry.delete(doomed.ref)
    assert files_below(state / "artifacts") == before | latest_files
    assert size - freed == sum((state / "artifacts" / path).stat().st_size for path in before | latest_files)
    assert (registry.runs("doomed"), registry.runs("validation")) == ([], [])
    assert registry.get(kept.ref).run_id == kept.run_id


def test_files_that_a_person_keeps_elsewhere_stay(state: Path, tmp_path: Path) -> None:
    """An experiment with a place of its own outside of the state folder: its files are not Turnout's to remove."""
    registry = MlflowRegistry(state)
    with quiet():
        client = open_client(registry.environment("tag")["MLFLOW_TRACKING_URI"])
        client.create_experiment("elsewhere", artifact_location=(tmp_path / "elsewhere").as_uri())
    version = registered(registry, experiment="elsewhere")
    registered(registry, "second")
    before = files_below(tmp_path / "elsewhere")
    assert registry.local_model(version).is_relative_to(tmp_path / "elsewhere")
    assert registry.delete(version.ref) == 0
    assert files_below(tmp_path / "elsewhere") == before != set()


def test_a_removal_that_the_registry_refuses_leaves_all_as_it_was(state: Path) -> None:
    """The files were moved aside already: they come back, and the version with them."""
    registry = MlflowRegistry(state)
    ref = registered(registry).ref
    registered(registry, "second")
    before, version = files_below(state / "artifacts"), registry.get(ref)
    with closing(sqlite3.connect(state / "mlflow.db")) as base, base:
        base.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON model_versions BEGIN SELECT raise(ABORT, 'not today'); END"
        )
    with pytest.raises(StorageFailed, match="not today"):
        registry.delete(ref)
    assert files_below(state / "artifacts") == before
    assert registry.get(ref) == version
    with closing(sqlite3.connect(state / "mlflow.db")) as base, base:
        base.execute("DROP TRIGGER refuse")
    assert registry.delete(ref) > 1000
