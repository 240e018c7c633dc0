"""Who runs tests of notebooks, the fake among them; and what pytest and nbval make of real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapters.notebook_tests import PytestTester
from pipelines.adapters.warm.client import WarmKernels
from pipelines.adapters.warm.nursery import KERNEL_NAME
from pipelines.crews import NotebookTester
from pipelines.errors import BadParameter, BadProject, MissingExtra
from pipelines.ports import CellProgress, NotebookJob
from pipelines.values.testing import Ended, OneTest
from tests.fakes import FakeNotebookTester

FAILS = "raise ZeroDivisionError('by hand')"


def cell(source: str, output: str = "", *tags: str) -> dict[str, Any]:
    """A code cell, perhaps with something that it printed once."""
    printed = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    count = 1 if output else None
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": list(tags)},
        "outputs": printed,
        "execution_count": count,
    }


def heading(text: str) -> dict[str, Any]:
    """A Markdown cell."""
    return {"cell_type": "markdown", "source": f"# {text}", "metadata": {}}


def job(folder: Path, *cells: dict[str, Any], seconds: float = 60.0, **parameters: Any) -> NotebookJob:
    """A notebook in a folder of a project, and where its executed one goes."""
    home = folder / "project" / "notebooks"
    home.mkdir(parents=True)
    path = home / "train.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    output = folder / "train.ipynb"
    return NotebookJob(path, output, folder / "project", parameters, cell_timeout_seconds=seconds)


def ignore(said: object) -> None:
    """Nobody listens."""


def outcomes(tests: list[OneTest]) -> list[Ended]:
    """How each ended."""
    return [test.outcome for test in tests]


def printed(job: NotebookJob) -> str:
    """What the executed notebook's cells printed."""
    cells = json.loads(job.output.read_text())["cells"]
    texts = [output.get("text", "") for each in cells for output in each.get("outputs", ())]
    return "".join("".join(text) for text in texts)


@pytest.fixture(params=["fake", "pytest"])
def tester(request: pytest.FixtureRequest) -> NotebookTester:
    """Each implementation."""
    return FakeNotebookTester() if request.param == "fake" else PytestTester()


def test_each_code_cell_is_a_test(tester: NotebookTester, tmp_path: Path) -> None:
    """Named by its number and heading, in order; the executed notebook is kept, and each cell was told as it began."""
    told: list[CellProgress] = []
    work = job(tmp_path, heading("Load"), cell("x = 1"), heading("Train"), cell("x + 1"))
    tests = tester.notebook(work, told.append)
    assert [test.name for test in tests] == ["cell 1 (Load)", "cell 2 (Train)"]
    assert outcomes(tests) == [Ended.PASSED, Ended.PASSED]
    assert {test.file for test in tests} == {"notebooks/train.ipynb"}
    assert [(each.cell, each.cells) for each in told] == [(1, 2), (2, 2)]
    assert work.output.is_file()
    assert tester.check() is None  # type: ignore[func-returns-value]


def test_a_cell_that_raises_is_named_and_ends_it(tester: NotebookTester, tmp_path: Path) -> None:
    """With its error; what stands behind it is skipped, since nothing there means what it should."""
    tests = tester.notebook(job(tmp_path, heading("Load"), cell(FAILS), heading("Train"), cell("2")), ignore)
    assert outcomes(tests) == [Ended.FAILED, Ended.SKIPPED]
    assert (tests[0].name, tests[0].says) == ("cell 1 (Load)", "ZeroDivisionError: by hand")


def test_parameters_are_set_behind_their_defaults(tmp_path: Path) -> None:
    """Each as a literal, in the notebook's own folder; a variable of the environment is there, an empty one is not."""
    cells = [cell("rate = 0.1\nname = 'a'", "", "parameters"), cell("import os\nprint(rate, name, os.getcwd())")]
    work = job(tmp_path, *cells, rate=0.5, name="it's")
    tests = PytestTester().notebook(work, ignore)
    assert [test.name for test in tests][1] == "cell 2 (Parameters)"
    assert printed(work) == f"0.5 it's {work.notebook.parent}\n"


def test_wrong_parameters_start_nothing(tmp_path: Path) -> None:
    """A name that is not declared, as everywhere; nor is there a notebook afterwards."""
    work = job(tmp_path, cell("rate = 0.1", "", "parameters"), rat=0.5)
    with pytest.raises(BadParameter, match="Did you mean rate"):
        PytestTester().notebook(work, ignore)
    assert not work.output.exists()


def test_outputs_are_compared_where_a_cell_asks_for_it(tmp_path: Path) -> None:
    """Another output than the stored one fails that cell and no later one; one that does not ask may print anything."""
    work = job(
        tmp_path,
        cell("# NBVAL_CHECK_OUTPUT\nprint(1 + 1)", "3\n"),
        cell("print(1 + 1)", "3\n"),
        cell("print(4)", "4\n", "nbval-check-output"),
    )
    tests = PytestTester().notebook(work, ignore)
    assert outcomes(tests) == [Ended.FAILED, Ended.PASSED, Ended.PASSED]
    assert tests[0].says.startswith("Cell outputs differ")
    assert "'3" in tests[0].says


def test_strictly_all_outputs_are_compared(tmp_path: Path) -> None:
    """Without being asked for."""
    work = job(tmp_path, cell("print(1 + 1)", "3\n"), cell("print(4)", "4\n"), cell("1 / 0", "", "nbval-skip"))
    assert outcomes(PytestTester().notebook(work, ignore, is_strict=True)) == [
        Ended.FAILED,
        Ended.PASSED,
        Ended.SKIPPED,
    ]


def test_a_kernel_that_ends_fails_its_cell(tmp_path: Path) -> None:
    """And the rest is skipped, without waiting for the time a cell may take."""
    tests = PytestTester().notebook(job(tmp_path, cell("import os; os._exit(3)"), cell("2"), seconds=3600), ignore)
    assert outcomes(tests) == [Ended.FAILED, Ended.SKIPPED]
    assert tests[0].says == "its kernel ended"


def test_a_cell_that_does_not_end_fails(tmp_path: Path) -> None:
    """After the time that a cell may take."""
    work = job(tmp_path, cell("while True: pass"), cell("2"), seconds=1.0)
    assert outcomes(PytestTester().notebook(work, ignore)) == [Ended.FAILED, Ended.SKIPPED]


def test_what_is_no_notebook_is_told(tmp_path: Path) -> None:
    """As everywhere."""
    work = job(tmp_path)
    work.notebook.write_text("{")
    with pytest.raises(BadProject, match="no notebook"):
        PytestTester().notebook(work, ignore)


@pytest.fixture
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short folder for sockets, its nurseries ended afterwards."""
    folder = tmp_path_factory.mktemp("w")
    yield folder
    WarmKernels(folder, folder, folder / "log").end()


def test_kernels_are_forks_where_there_is_a_nursery(tmp_path: Path, runtime: Path) -> None:
    """The notebook runs in a process that a nursery has forked."""
    work = job(tmp_path, cell("import json\nprint(open('/proc/self/comm').read())"))
    tests = PytestTester({"runtime": str(runtime), "project": str(work.root)}).notebook(work, ignore)
    assert outcomes(tests) == [Ended.PASSED]
    assert KERNEL_NAME in printed(work)


def test_files_run_as_the_project_sets_pytest_up(tmp_path: Path) -> None:
    """Passed, failed with its assertion, skipped, expected to fail; and one that cannot be imported."""
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_functions = check_*\n")
    (tmp_path / "test_a.py").write_text(
        "import pytest\n\ndef check_good(): pass\n\ndef check_bad(): assert [1] == [2]\n\n"
        "def check_left(): pytest.skip('no data')\n\n@pytest.mark.xfail\ndef check_known(): assert 0\n\n"
        "def test_of_another_name(): assert 0\n"
    )
    (tmp_path / "test_b.py").write_text("import not_there_at_all\n")
    said: list[str] = []
    paths = [tmp_path / "test_a.py", tmp_path / "test_b.py"]
    tests = PytestTester().files(paths, tmp_path, {"SOME": "", "OTHER": "1"}, said.append)
    found = {test.name: (test.outcome, test.says) for test in tests}
    assert found["check_good"] == (Ended.PASSED, "")
    assert found["check_bad"] == (Ended.FAILED, "AssertionError: assert [1] == [2]")
    assert found["check_left"][0] is Ended.SKIPPED
    assert found["check_known"][0] is Ended.SKIPPED
    assert found["test_b.py"][0] is Ended.FAILED
    assert "not_there_at_all" in found["test_b.py"][1]
    assert len(found) == 5
    assert "test_a.py: check_good passed" in said


@pytest.mark.parametrize("module", ["nbval", "pytest", "nbconvert"])
def test_what_is_not_installed_is_named(module: str) -> None:
    """With the extra that brings it."""
    with pytest.raises(MissingExtra, match=rf"{module}.*turnout\[lab\]"):
        PytestTester(is_there=lambda name: name != module).check()
