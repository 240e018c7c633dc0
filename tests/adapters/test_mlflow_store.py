"""What can go wrong with MLflow's store: broken, full, locked, or of another release."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.adapters.mlflow_registry.client import open_client, quiet
from pipelines.adapters.mlflow_registry.failures import told
from pipelines.errors import Busy, NoSuchVersion, NotebookContract, StorageFailed, TurnoutError
from pipelines.values import Provenance
from tests.adapters.mlflow_versions import files_below, trained

pytestmark = pytest.mark.usefixtures("nothing_beside")


@pytest.mark.parametrize("content", [b"no database " * 100, b"SQLite format 3\0" + bytes(5000)])
def test_a_broken_store_is_named_with_what_to_do(state: Path, content: bytes) -> None:
    """Reading and writing say which file is broken, and neither makes it worse."""
    registry = MlflowRegistry(state)
    (state / "mlflow.db").write_bytes(content)
    for attempt in (
        lambda: registry.versions("digits"),
        lambda: registry.environment("tag"),
        lambda: registry.runs("t"),
    ):
        with pytest.raises(StorageFailed, match=r"mlflow\.db is no readable MLflow store.*move it away"):
            attempt()
    assert (state / "mlflow.db").read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """A SQLite file without MLflow's tables is not filled with them."""
    state = tmp_path / ".turnout"
    state.mkdir()
    with closing(sqlite3.connect(state / "mlflow.db")) as base, base:
        base.execute("CREATE TABLE mine (x)")
    before = (state / "mlflow.db").read_bytes()
    with pytest.raises(StorageFailed, match="it has no table experiments"):
        MlflowRegistry(state).environment("tag")
    assert (state / "mlflow.db").read_bytes() == before


def test_a_store_of_another_release_is_answered_with_the_command(state: Path) -> None:
    """MLflow refuses a schema that is not its own: the error names the command that upgrades it."""
    registry = MlflowRegistry(state)
    run = trained(registry)
    with closing(sqlite3.connect(state / "mlflow.db")) as base, base:
        base.execute("UPDATE alembic_version SET version_num = 'cc1f77228345'")
    other = state.with_name("other")  # MLflow checks the schema once for each path and process
    shutil.copytree(state, other)
    with pytest.raises(StorageFailed, match=r"another release of MLflow.*mlflow db upgrade sqlite:///"):
        MlflowRegistry(other).register("digits", run, run.models[0], {}, Provenance())


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in its place: told with the path."""
    (tmp_path / ".turnout").write_text("in the way")
    with pytest.raises(StorageFailed, match=r"\.turnout while opening the registry"):
        MlflowRegistry(tmp_path / ".turnout").environment("tag")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from pipelines.adapters.mlflow_registry import MlflowRegistry
from pipelines.errors import StorageFailed

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    MlflowRegistry(Path(sys.argv[1])).environment("tag")
except StorageFailed as failed:
    print(failed)
"""


def test_a_full_disk_leaves_no_half_made_store(tmp_path: Path) -> None:
    """The store does not fit: the error says so, and the next process begins anew."""
    state = tmp_path / ".turnout"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FULL_DISK, str(state)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "mlflow.db" in done.stdout
    assert done.stderr == ""
    assert files_below(state) <= {"mlflow.lock"}


def _busy(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "a.db")) as one, closing(sqlite3.connect(folder / "a.db", timeout=0)) as two:
        one.execute("CREATE TABLE t (x)")
        one.execute("BEGIN EXCLUSIVE")
        two.execute("INSERT INTO t VALUES (1)")


def _full(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "a.db")) as base:
        base.execute("PRAGMA max_page_count = 2")
        base.execute("CREATE TABLE t (x)")
        base.execute("INSERT INTO t VALUES (zeroblob(100000))")


def _readonly(folder: Path) -> None:
    (folder / "a.db").touch()
    with closing(sqlite3.connect(f"file:{folder / 'a.db'}?mode=ro", uri=True)) as base:
        base.execute("CREATE TABLE t (x)")


def _missing(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "nowhere" / "a.db")):
        pass


def _no_table(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "a.db")) as base:
        base.execute("SELECT * FROM runs")


def _as_mlflow_does(produce: Callable[[Path], None], folder: Path) -> None:
    import sqlalchemy

    with quiet():
        from mlflow.exceptions import MlflowException
    try:
        try:
            produce(folder)
        except sqlite3.Error as error:
            raise sqlalchemy.exc.OperationalError("statement", {}, error) from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise MlflowException(str(error)) from error


@pytest.mark.parametrize("is_wrapped", [False, True])
@pytest.mark.parametrize(
    ("produce", "kind", "said"),
    [
        (_busy, Busy, "locked by another process"),
        (_full, StorageFailed, "the disk is full.*turnout prune"),
        (_readonly, StorageFailed, "cannot be opened for.*readable and writable"),
        (_missing, StorageFailed, "cannot be opened for.*readable and writable"),
        (_no_table, StorageFailed, "no readable MLflow store.*no such table: runs"),
    ],
)
def test_what_sqlite_refuses_is_told_in_our_words(
    tmp_path: Path, produce: Callable[[Path], None], kind: type[TurnoutError], said: str, *, is_wrapped: bool
) -> None:
    """Each refusal has its own words and cure, raw or as MLflow wraps it; the file is named."""
    with pytest.raises(TurnoutError, match=said) as refused, told(tmp_path / "mlflow.db", "registering digits"):
        _as_mlflow_does(produce, tmp_path) if is_wrapped else produce(tmp_path)
    assert type(refused.value) is kind
    assert str(tmp_path / "mlflow.db") in str(refused.value)


def test_our_own_errors_pass_untouched_and_unknown_ones_are_ours_too(tmp_path: Path) -> None:
    """Nothing foreign gets out: neither the system's errors nor MLflow's, also those without words."""
    ours = NoSuchVersion("as it is")
    for raised, kind, said in [
        (ours, NoSuchVersion, "as it is"),
        (PermissionError(13, "Permission denied", "/x"), StorageFailed, "cannot write /x while registering"),
        (ValueError("odd\nsecond line"), StorageFailed, "MLflow refused registering: odd"),
        (KeyError(), StorageFailed, "MLflow refused registering: KeyError"),
    ]:
        with pytest.raises(kind) as caught, told(tmp_path, "registering"):
            raise raised
        assert said in str(caught.value)
        assert "second line" not in str(caught.value)


def test_a_validation_on_another_machine_is_refused(state: Path) -> None:
    """Artifacts in a bucket cannot be read as files: the message says what would be right."""
    registry = MlflowRegistry(state)
    with quiet():
        client = open_client(registry.environment("tag")["MLFLOW_TRACKING_URI"])
        bucket = client.create_experiment("bucket", artifact_location="s3://bucket/path")
        run = client.create_run(bucket)
    with pytest.raises(NotebookContract, match="another machine"):
        registry.evidence(run.info.run_id)
