"""Warm kernels: the same results as of ordinary ones, nothing is shared, and what goes wrong ends in an ordinary one.

The contract of runners is held by `test_notebook_runner`, for both kinds of kernels.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from pipelines.adapters.crew.machine import used_mb
from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.adapters.warm.client import WarmKernels
from pipelines.adapters.warm.identity import identity, steady, wanted
from pipelines.adapters.warm.provisioner import WarmProvisioner
from pipelines.errors import KernelDied
from pipelines.local.runtime import Runtime
from pipelines.ports import NotebookJob
from tests.adapters.nurseries import end_nurseries, kernels, nurseries, ordinary_kernels, warm_kernels

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    """The nurseries end with the tests."""
    yield
    end_nurseries()


@dataclass
class Ordinary:
    """The ordinary kernels of a test where warm ones were asked for.

    Args:
        before: How many there had been.
        is_expected: Whether the test looks at them.
    """

    before: int
    is_expected: bool = False

    def why(self) -> str:
        """Why the one kernel was an ordinary one."""
        self.is_expected = True
        (line,) = ordinary_kernels()[self.before :]
        return line


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[Ordinary]:
    """All kernels are warm, unless the test looks at why they are not."""
    found = Ordinary(len(ordinary_kernels()))
    yield found
    assert found.is_expected or ordinary_kernels()[found.before :] == []


def notebook(root: Path, *cells: str, name: str = "nb.ipynb") -> Path:
    """A notebook of code cells."""
    listed: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(cells)
    ]
    root.mkdir(parents=True, exist_ok=True)
    whole = {"cells": listed, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (root / name).write_text(json.dumps(whole), encoding="utf-8")
    return root / name


def said(path: Path, warm: WarmKernels | None, **environment: str) -> str:
    """What a notebook's cells print."""
    output = path.with_name("out.ipynb")
    PapermillRunner(warm).run(NotebookJob(path, output, path.parent, environment=environment), lambda _: None)
    cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
    return "".join("".join(each.get("text", "")) for cell in cells for each in cell.get("outputs", []))


OPENMP = """
import hashlib, os
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
rows = np.random.default_rng(3).normal(size=(4000, 8))
labels = (rows[:, 0] * rows[:, 1] > 0).astype(int)
model = HistGradientBoostingClassifier(max_iter=20, random_state=1).fit(rows, labels)
print(hashlib.sha256(model.predict_proba(rows).tobytes()).hexdigest(), (rows @ rows.T).sum())
"""


def test_results_are_those_of_an_ordinary_kernel_also_with_openmp_twice(tmp_path: Path) -> None:
    """OpenMP and BLAS run in two forks of one process, one after the other, to the same bytes as in an ordinary one."""
    path = notebook(tmp_path, OPENMP)
    warm = warm_kernels(tmp_path)
    assert said(path, warm) == said(path, warm) == said(path, None)


STATE = """
import json, os, random, sys
import numpy as np
from pathlib import Path
import own
seen = [hasattr(np, "mark"), "MARK" in os.environ, "own_mark" in globals()]
np.mark = own_mark = os.environ["MARK"] = "1"
drawn = [np.random.rand(), random.random(), str(np.random.default_rng().random())]
print(json.dumps([seen, drawn, own.VALUE, own.PROCESS == os.getpid(), os.getcwd()]))
"""


def test_nothing_is_shared_between_runs(tmp_path: Path) -> None:
    """What a run leaves in a package, a variable or the environment is not there in the next; unseeded numbers differ;
    the project's own module is imported by the kernel itself, as it is at that moment.
    """
    path, warm, drawn = notebook(tmp_path / "nb", STATE), warm_kernels(tmp_path), []
    for value in (1, 2, 3):
        (tmp_path / "nb" / "own.py").write_text(
            f"import os\nVALUE = {value}\nPROCESS = os.getpid()\nSIZE = {'x' * value!r}"
        )
        seen, numbers, own, is_own, folder = json.loads(said(path, warm))
        assert (seen, own, is_own, folder) == ([False] * 3, value, True, str(tmp_path / "nb"))
        drawn.append(numbers)
    assert all(len(set(each)) == 3 for each in zip(*drawn, strict=True))


def test_a_kernel_is_counted_for_who_asked_for_it(tmp_path: Path) -> None:
    """It is nobody's child but the nursery's, nor is that of who started it; its memory is that of who asked."""
    cell = "import os, time\nprint(os.getppid())\nrows = bytearray(os.urandom(10**6) * 300)\ntime.sleep(1)"
    seen = [used_mb(os.getpid())]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen.append(used_mb(os.getpid()))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        nursery = int(said(notebook(tmp_path, cell), warm_kernels(tmp_path)))
    finally:
        over.set()
        watch.join()
    assert max(seen) > seen[0] + 250
    assert nursery not in [child.pid for child in psutil.Process().children(recursive=True)]


def test_a_changed_lock_or_environment_takes_another_nursery(tmp_path: Path) -> None:
    """The nursery of an earlier lock is told to end; one with another variable is another, started with it."""
    lock, path = tmp_path / "requirements.lock", notebook(tmp_path, "import os\nprint(os.getppid())")
    lock.write_text("one")
    warm = warm_kernels(tmp_path, lock=lock)
    first = said(path, warm)
    assert said(path, warm) == first
    assert said(path, warm, OMP_NUM_THREADS="1") != first
    before = psutil.Process(int(first))
    lock.write_text("two")
    assert said(path, warm) != first
    before.wait(20)


def test_what_makes_two_nurseries_differ() -> None:
    """Modules, lock, and every variable but those of a session or a run."""
    usual = {"PATH": "/bin", "OMP_NUM_THREADS": "2"}
    same = {**usual, "PWD": "/elsewhere", "MLFLOW_RUN_CONTEXT": "{}", "SSH_TTY": "x", "TERM": "dumb"}
    one = identity(("numpy",), usual, "lock")
    assert identity(("numpy",), same, "lock") == one
    others = [
        identity(("numpy", "scipy"), usual, "lock"),
        identity(("numpy",), {**usual, "OMP_NUM_THREADS": "1"}, "lock"),
        identity(("numpy",), {**usual, "ANYTHING": "x"}, "lock"),
        identity(("numpy",), usual, "another"),
    ]
    assert len({one, *others}) == 5
    assert one[:8] == others[0][:8] != others[3][:8]
    assert steady(same) == usual


@pytest.mark.parametrize(
    ("cells", "variables", "is_open"),
    [
        (["import os", "os.environ['TF_X'] = '3'", "import numpy"], {"TF_X": "3"}, False),
        (["import os\nos.environ.setdefault('TF_X', '3')\nos.environ.setdefault('HERE', '3')"], {"TF_X": "3"}, False),
        (["import os, numpy", "os.environ['TF_X'] = '3'"], {}, True),
        (["import os, numpy", "os.environ['MINE'] = '3'"], {}, False),
        (["import os\nos.environ['TF_X'] = str(3)"], {}, True),
        (["import os\nos.environ['MINE'] = str(3)"], {}, False),
        (["import os\nif os.path.exists('x'):\n    os.environ['OMP_NUM_THREADS'] = '1'"], {}, True),
        (["import os\ndel os.environ['TF_X']"], {}, True),
        (["import os\nos.environ.pop('PYTHONHASHSEED')"], {}, True),
        (["import os\nos.environ.update(x)"], {}, True),
        (["import os\nos.environ[name] = '1'"], {}, True),
        (["%env TF_X=3\nimport numpy"], {}, True),
        (["import own_sets"], {}, True),
        (["import own_reads"], {}, False),
    ],
)
def test_variables_that_a_notebook_sets(
    tmp_path: Path, cells: list[str], variables: dict[str, str], *, is_open: bool
) -> None:
    """Plain ones before the first package count; where it cannot be read off what a package will read, it is open."""
    (tmp_path / "own_sets.py").write_text("import os\nos.environ['KERAS_BACKEND'] = 'jax'")
    (tmp_path / "own_reads.py").write_text("import os\nprint(os.environ['KERAS_BACKEND'])")
    found = wanted((), notebook(tmp_path, *cells), tmp_path)
    over = found.over({"HERE": "before"})
    assert found.is_open is is_open
    assert is_open or over == {"HERE": "before", **variables}


def test_what_a_notebook_imports(tmp_path: Path) -> None:
    """Packages, their parts that are used, also by the project's own modules and the model's other notebook."""
    (tmp_path / "own.py").write_text("import scipy.stats")
    other = notebook(tmp_path, "import pandas as pd\npd.io", name="other.ipynb")
    own = notebook(
        tmp_path, "import json, own\nfrom mlflow import sklearn, MlflowClient\nimport mlflow\nmlflow.keras.load_model"
    )
    found = wanted([own, other], own, tmp_path).modules
    assert {"mlflow", "mlflow.sklearn", "mlflow.keras", "scipy.stats", "pandas", "pandas.io"} <= set(found)
    assert not {"json", "mlflow.MlflowClient"} & set(found)
    assert found == wanted([own, other], other, tmp_path).modules


def package(tmp_path: Path, source: str) -> tuple[WarmKernels, Path, dict[str, str]]:
    """A package `odd` installed outside of the project, and a notebook that imports it."""
    installed, root = tmp_path / "site-packages", tmp_path / "project"
    installed.mkdir()
    (installed / "odd.py").write_text(source)
    path = notebook(root, "import odd, os\nprint('done', open('/proc/self/cmdline').read())")
    return warm_kernels(root, progress_seconds=2.0), path, {"PYTHONPATH": str(installed)}


def test_a_fork_that_hangs_is_killed_and_the_run_repeated(tmp_path: Path, ordinary: Ordinary) -> None:
    """A package that waits for ever after a fork: the notebook runs in an ordinary kernel, once."""
    source = "import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(10**6))"
    warm, path, environment = package(tmp_path, source)
    text = said(path, warm, **environment)
    assert text.startswith("done")
    assert "ipykernel_launcher" in text
    assert "the fork came to nothing" in ordinary.why()
    assert kernels() == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(3,), name='mine', daemon=True).start()",
            "mine",
        ),
        ("import os\nif 'nursery' in open('/proc/self/cmdline').read(): os._exit(3)", "ended before it answered"),
    ],
)
def test_packages_that_cannot_be_forked_get_an_ordinary_kernel(
    tmp_path: Path, source: str, reason: str, ordinary: Ordinary
) -> None:
    """One starts a thread when it is imported, one ends the process: the notebook runs all the same."""
    warm, path, environment = package(tmp_path, source)
    text = said(path, warm, **environment)
    assert text.startswith("done")
    assert "ipykernel_launcher" in text
    assert reason in ordinary.why()


def test_a_package_that_somebody_works_on_is_imported_by_the_kernel(tmp_path: Path) -> None:
    """One outside of the project that is not installed, as in editable installations, may change at any moment."""
    (tmp_path / "elsewhere").mkdir()
    path = notebook(tmp_path / "project", "import odd, os\nprint(odd.PROCESS == os.getpid(), odd.VALUE)")
    for value in (1, 2):
        source = f"import os\nPROCESS = os.getpid()\nVALUE = {value}\nSIZE = {'x' * value!r}"
        (tmp_path / "elsewhere" / "odd.py").write_text(source)
        warm = warm_kernels(tmp_path / "project")
        assert said(path, warm, PYTHONPATH=str(tmp_path / "elsewhere")) == f"True {value}\n"


def test_a_package_that_cannot_be_imported_is_the_notebooks_business(tmp_path: Path) -> None:
    """A notebook may expect the error; it gets it in its own cell, in a warm kernel."""
    cell = "try:\n    import odd\nexcept ValueError as error:\n    print('expected', error)"
    warm, _, environment = package(tmp_path, "raise ValueError('not today')")
    assert said(notebook(tmp_path / "project", cell), warm, **environment) == "expected not today\n"


def test_a_nursery_that_is_killed_takes_its_kernels_with_it(tmp_path: Path) -> None:
    """The run fails as with a kernel that died; the next has a new nursery."""
    kill = "import os, time\nprint(os.getpid(), flush=True)\nos.kill(os.getppid(), 9)\ntime.sleep(600)"
    path, warm = notebook(tmp_path, kill), warm_kernels(tmp_path, lock=tmp_path / "own.lock")
    (tmp_path / "own.lock").write_text("own")
    with pytest.raises(KernelDied):
        said(path, warm)
    cells = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    await_that(lambda: not runs(int(cells[0]["outputs"][0]["text"][0])))
    assert said(notebook(tmp_path, "print('again')"), warm) == "again\n"


KILLED = """
import sys
from pathlib import Path
from pipelines.adapters.papermill_runner import PapermillRunner
from pipelines.adapters.warm.client import WarmKernels
from pipelines.ports import NotebookJob

root, folder = Path(sys.argv[1]), Path(sys.argv[2])
warm = WarmKernels(folder, root, folder / "nursery.log")
print("begins", flush=True)
PapermillRunner(warm).run(NotebookJob(root / "nb.ipynb", root / "out.ipynb", root), lambda _: None)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_kernel_outlives_who_asked_for_it(tmp_path: Path, number: signal.Signals) -> None:
    """SIGKILL of the runner's process, and Ctrl-C: the kernel is gone, with what it had started."""
    begun = tmp_path / "pid"
    cell = (
        "import os, subprocess, time\nfrom pathlib import Path\nchild = subprocess.Popen(['sleep', '600'])\n"
        f"Path({str(begun)!r} + '~').write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(begun)!r} + '~', {str(begun)!r})\ntime.sleep(600)"
    )
    notebook(tmp_path, cell)
    folder = warm_kernels(tmp_path).folder
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        await_that(begun.exists)
        process.send_signal(number)
        process.wait(30)
    for pid in begun.read_text().split():
        await_that(lambda pid=pid: not runs(int(pid)))


def runs(pid: int) -> bool:
    """Whether a process is alive."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_that(condition: Any) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("end", ["idle", "socket", "project"])
def test_a_nursery_ends_by_itself(tmp_path: Path, end: str) -> None:
    """When nobody has asked for a kernel for long, when its socket is gone, and when the project is."""
    root = tmp_path / "project"
    warm = warm_kernels(root, idle_seconds=0.5 if end == "idle" else 600.0, lock=root / "a.lock")
    path = notebook(root, "import os\nprint(os.getppid())")
    (root / "a.lock").write_text(end)
    nursery = psutil.Process(int(said(path, warm)))
    if end == "socket":
        for each in warm.folder.glob("warm-*"):
            if any(connection.laddr == str(each) for connection in nursery.net_connections("unix")):
                each.unlink()
    if end == "project":
        shutil.rmtree(root)
    nursery.wait(30)


def test_turnout_down_ends_them(tmp_path: Path) -> None:
    """`turnout cache` counts what kernels are forked from, and after `turnout down` it is gone."""
    (tmp_path / "pyproject.toml").write_text("[tool.turnout]\n")
    runtime = Runtime.of(tmp_path)
    warm = warm_kernels(tmp_path, folder=runtime.folder, make=runtime.make)
    nursery = psutil.Process(int(said(notebook(tmp_path, "import os\nprint(os.getppid())"), warm)))
    listed = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "cache", "--json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=60,
    )
    seen = {each["name"]: each for each in json.loads(listed.stdout)["kept"]}["warm kernels"]
    assert seen["count"] == 1
    assert seen["bytes"] > 10_000_000
    command = [sys.executable, "-m", "pipelines.cli", "down"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    nursery.wait(30)
    shutil.rmtree(runtime.folder)


def test_another_program_may_ask_for_one(tmp_path: Path) -> None:
    """jupyter_client finds the provisioner by its entry point; a kernel spec says which project and notebook."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    group = "jupyter_client.kernel_provisioners"
    entry = EntryPoint("turnout-warm", table[group]["turnout-warm"], group)
    assert entry.load() is WarmProvisioner
    KernelProvisionerFactory.instance().provisioners["turnout-warm"] = entry
    folder = warm_kernels(tmp_path).folder
    config = {"runtime": str(folder), "project": str(tmp_path), "notebook": str(notebook(tmp_path, "import numpy"))}
    spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        metadata={"kernel_provisioner": {"provisioner_name": "turnout-warm", "config": config}},
        language="python",
    )
    manager = KernelManager(transport="ipc", ip=str(folder / "k"), connection_file=str(folder / "k.json"))
    manager._kernel_spec = spec
    log = (tmp_path / "log").open("wb")
    manager.start_kernel(cwd=str(tmp_path), env=dict(os.environ), stdout=log, stderr=log)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(60)
        heard: list[str] = []
        client.execute_interactive(
            "import sys, os\nprint(sys.executable, os.getppid(), 'numpy' in sys.modules)",
            output_hook=lambda message: heard.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        log.close()
    python, parent, has_numpy = "".join(heard).split()
    assert (python, has_numpy) == (sys.executable, "True")
    assert int(parent) in [nursery.pid for nursery in nurseries()]
