"""What goes wrong while packaging: a clear error, nothing half-written, and the next call works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from sklearn.linear_model import LinearRegression

from pipelines.adapters.packaging import BentoPackager
from pipelines.adapters.packaging.build import raise_storage
from pipelines.adapters.packaging.exporters import EXPORTERS, Exporter
from pipelines.errors import MissingExtra, PackageFailed, StorageFailed
from tests.adapters.packaging.conftest import Project
from tests.adapters.packaging.logged import Logged, log, people
from tests.serving.bentos import ROOT

ROWS = people()[["age", "amount"]].astype(float)


class Loading:
    """Runs a piece of Python when it is loaded from its pickle; in between it is a linear regression."""

    def __init__(self, code: str) -> None:
        self.code = code

    def predict(self, rows: Any) -> Any:
        """For the signature."""
        return rows.amount

    def __reduce__(self) -> Any:
        return exec, (self.code,)


def left_over(state: Path) -> list[str]:
    """Everything in the state folder that is neither a log nor a lock."""
    return sorted(
        path.relative_to(state).as_posix()
        for path in state.rglob("*")
        if path.is_file() and path.suffix not in (".log", ".lock")
    )


def packaging(state: Path, logged: Logged, number: int = 1, *options: str) -> subprocess.Popen[str]:
    """A package command as a process of its own."""
    command = [sys.executable, "-m", "tests.adapters.packaging.command", str(state)]
    command += [str(logged.model), str(logged.rows), str(number), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
ENDED = "import os; print('out of luck', flush=True); os._exit(3)"


def test_a_worker_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    """The process that asked lives on; the error names the log; nothing is left, and another model is packaged."""
    packager = BentoPackager(tmp_path / ".turnout", tmp_path)
    for code, said in ((KILLED, "was killed by signal 9"), (ENDED, "ended with code 3: out of luck")):
        folder = tmp_path / said.split()[1]
        folder.mkdir()
        with pytest.raises(PackageFailed, match=rf"the process that exports credit@1 {said}.*package-credit-1\.log"):
            packager.package(log(folder, Loading(code), ROWS).job(), lambda _: None)
        assert left_over(tmp_path / ".turnout") == []

    good = log(tmp_path, LinearRegression().fit(ROWS, ROWS.amount), ROWS)
    assert packager.package(good.job(), lambda _: None).flavour == "onnx"


def test_a_model_that_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    """The message holds the exception, and what to try."""
    logged = log(tmp_path, Loading("raise RuntimeError('no such layer')"), ROWS)
    with pytest.raises(PackageFailed, match=r"the model of credit@1 cannot be loaded: RuntimeError: no such layer\."):
        BentoPackager(tmp_path / ".turnout", tmp_path).package(logged.job(), lambda _: None)


def test_a_model_that_cannot_answer_its_own_rows_is_refused(credit: Project, tmp_path: Path) -> None:
    """The rows lack a column: the message names the file, the column and what there is."""
    rows = people().drop(columns="job")
    rows.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(PackageFailed, match=r"the validation rows in rows\.parquet have no 'job'; they have age, "):
        BentoPackager(tmp_path / ".turnout", tmp_path).package(
            Logged(credit.logged.model, tmp_path / "rows.parquet").job(), lambda _: None
        )
    assert left_over(tmp_path / ".turnout") == []


@pytest.mark.parametrize("text", [None, "flavors: [", "{}"])
def test_a_folder_that_is_no_model_is_refused(text: str | None, tmp_path: Path) -> None:
    """Without a readable MLmodel nothing is started."""
    if text is not None:
        (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(PackageFailed, match=r"MLmodel cannot be read: "):
        BentoPackager(tmp_path / ".turnout", tmp_path).package(Logged(tmp_path, tmp_path).job(), lambda _: None)


def test_a_missing_exporter_names_its_extra() -> None:
    """The framework is needed in any case, the converter only for an export."""
    exporter = Exporter("sklearn", "sklearn", ("no_such_converter",), "sklearn")
    exporter.require(export=False)
    with pytest.raises(
        MissingExtra, match=r"exporting a sklearn model to ONNX needs the module no_such_converter.*\[sklearn\]"
    ):
        exporter.require(export=True)
    with pytest.raises(MissingExtra, match=r"loading the model needs the module no_such_framework.*\[torch\]"):
        Exporter("torch", "no_such_framework", (), "pytorch").require(export=False)


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here, so it is not missing")
def test_a_model_whose_framework_is_missing_names_the_extra(tmp_path: Path) -> None:
    """A PyTorch model in an environment without PyTorch: nothing is started, exported or left."""
    (tmp_path / "MLmodel").write_text("flavors:\n  pytorch: {}\n  python_function: {}\n")
    with pytest.raises(MissingExtra, match=r"`pip install 'turnout\[torch\]'`"):
        BentoPackager(tmp_path / ".turnout", tmp_path).package(Logged(tmp_path, tmp_path).job(), lambda _: None)
    assert not (tmp_path / ".turnout").exists()


def test_every_flavour_has_an_exporter_module() -> None:
    """The table names modules that exist."""
    assert {exporter.module for exporter in EXPORTERS.values()} == {"keras", "pytorch", "sklearn", "trees"}
    assert callable(EXPORTERS["sklearn"].load())


def test_a_full_disk_is_said_and_leaves_nothing(credit: Project, tmp_path: Path) -> None:
    """Refused in the worker and while laying out: the error names the place; afterwards a call works."""
    state = tmp_path / ".turnout"
    for longest in (1500, 9000):
        said = json.loads(packaging(state, credit.logged, 1, str(longest)).communicate(timeout=120)[0])
        assert said["type"] == "StorageFailed", said
        assert "cannot write /" in said["what"]
        assert "File too large" in said["what"]
        assert left_over(state) == []

    done = json.loads(packaging(state, credit.logged).communicate(timeout=120)[0])
    assert done["digest"] == credit.record.digest


def test_a_full_disk_is_recognised_in_what_bentoml_prints() -> None:
    """The path it names, or else the place we built in; anything else is no matter of storage."""
    with pytest.raises(StorageFailed, match=r"cannot write /x/bento\.yaml: No space left on device\. Free some space"):
        raise_storage("OSError: [Errno 28] No space left on device: '/x/bento.yaml'", Path("/home"))
    with pytest.raises(StorageFailed, match="cannot write /home: Read-only file system"):
        raise_storage("Error: build failed: [Errno 30] Read-only file system", Path("/home"))
    raise_storage("FileNotFoundError: [Errno 2] No such file or directory: '/x'", Path("/home"))


def blocked(folder: Path) -> tuple[Logged, Path]:
    """A model whose loading waits until somebody opens a FIFO for writing, and writes its process id to a file."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    code = f"import os; open({str(folder / 'pid')!r}, 'w').write(str(os.getpid())); open({str(fifo)!r}).read()"
    return log(folder, Loading(code), ROWS), fifo


def test_an_ended_command_takes_its_worker_along(credit: Project, tmp_path: Path) -> None:
    """Interrupted or killed while exporting: the worker ends too, and the next command clears up what was left."""
    state = tmp_path / ".turnout"
    for version, number in ((2, signal.SIGINT), (3, signal.SIGKILL)):
        folder = tmp_path / str(version)
        folder.mkdir()
        logged, fifo = blocked(folder)
        command = packaging(state, logged, version)
        with fifo.open("w"):  # opens when the worker has opened the other end
            worker = psutil.Process(int((folder / "pid").read_text()))
            command.send_signal(number)
            command.communicate(timeout=60)
            worker.wait(timeout=60)
        assert (left_over(state) == []) is (number == signal.SIGINT)

    BentoPackager(state, tmp_path).package(credit.logged.job(), lambda _: None)
    assert not [path for path in left_over(state) if path.startswith("tmp/")]


def test_an_ended_measurement_takes_its_host_along(credit: Project) -> None:
    """Killed while a host runs: that ends too. Left alone it would hold its memory for ever."""
    code = (
        "import json, sys; from pathlib import Path; from pipelines.adapters.packaging import BentoPackager\n"
        "from pipelines.values import PackageRecord\n"
        "state = Path(sys.argv[1])\n"
        "BentoPackager(state, state.parent).measure(PackageRecord.from_dict(json.loads(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(credit.state), json.dumps(credit.record.as_dict())]
    with subprocess.Popen(command, cwd=ROOT) as process:
        hosts: list[psutil.Process] = []
        while not hosts:
            assert process.poll() is None
            hosts = psutil.Process(process.pid).children()
        process.kill()
    for host in hosts:
        host.wait(timeout=60)
