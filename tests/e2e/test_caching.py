"""What `turnout ship` leaves when it is killed, and what runs after a change, by the real command with warm kernels."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.line import ROOT, ProjectFolder, make_project

TABLES = """[tool.turnout.models.credit]
train = "notebooks/credit/train.ipynb"
validate = "notebooks/credit/validate.ipynb"
inputs = ["data/rows.csv"]

[tool.turnout.models.credit.gates]
accuracy = { min = 0.6 }
"""
KILLED_AT = (
    ("credit needs training",),
    ("training credit", "cell 4 of"),
    ("validating credit@1",),
    ("validating credit@1", "cell 3 of"),
    ("credit@1 needs packaging",),
    ("measuring the bento",),
)
"""Where it is killed, one call after another: when it has said the last of these."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectFolder]:
    """A project that has shipped nothing yet."""
    folder = make_project(tmp_path_factory.mktemp("ship"), TABLES, credit=ROOT / "tests" / "notebooks" / "credit")
    (folder.root / "data").mkdir()
    (folder.root / "data" / "rows.csv").write_text("1,2\n")
    for name in ("requirements.lock", "README"):
        (folder.root / name).write_text("one\n")
    (folder.root / "own.py").write_text("VALUE = 1\n")
    changed(
        folder.root / "notebooks" / "credit" / "validate.ipynb",
        "import ",
        "import sys\\nsys.path.append('../..')\\nimport own\\nimport ",
    )
    yield folder
    folder.turnout("down")


def ship(project: ProjectFolder, *arguments: str) -> list[str]:
    """What each stage did."""
    document = project.turnout("ship", "credit", *arguments, "--json", TURNOUT_WARM_KERNELS="1").document
    return [step["outcome"] for step in document["steps"]]


def kill_at(project: ProjectFolder, marks: tuple[str, ...]) -> None:
    """Start a shipment, and kill it when it has said all of these, one after the other."""
    process = project.start("ship", "credit", TURNOUT_WARM_KERNELS="1")
    assert process.stderr is not None
    heard, waited = "", list(marks)
    for line in process.stderr:
        heard += line
        if waited[0] in line:
            del waited[0]
        if not waited:
            process.kill()
            break
    process.communicate(timeout=60)
    assert not waited, f"it did not come to {waited[0]!r}:\n{heard}"


def working(project: ProjectFolder) -> list[int]:
    """The processes that are at work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(project.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def executed(project: ProjectFolder) -> list[str]:
    """Which notebooks have come to their end, in order."""
    return [path.name.split("-")[2] for path in sorted((project.state / "runs" / "credit").glob("*.ipynb"))]


def test_killed_at_each_stage_the_next_call_goes_on(project: ProjectFolder) -> None:
    """No kernel is left, no notebook that came to its end runs twice, one version and one bento are made."""
    for marks in KILLED_AT:
        kill_at(project, marks)
        deadline = time.monotonic() + 20
        while working(project):
            assert time.monotonic() < deadline, f"still at work, killed at {marks}"
            time.sleep(0.05)
        versions = project.json("versions", "credit")["versions"]
        assert [each["ref"] for each in versions] in ([], ["credit@1"])
    assert ship(project) == ["reused", "reused", "done"]
    assert executed(project) == ["train", "validate"]
    assert [each["ref"] for each in project.json("versions", "credit")["versions"]] == ["credit@1"]
    assert len([path for path in (project.state / "bentoml" / "bentos" / "credit").iterdir() if path.is_dir()]) == 1
    assert ship(project) == ["reused", "reused", "reused"]
    log = project.state / "warm-kernels.log"
    assert " an ordinary kernel for " not in log.read_text(encoding="utf-8")


def changed(path: Path, old: str, new: str) -> None:
    """Change a text in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


ALL = ["train", "validate", "package"]
BYTES = [
    ("notebooks/credit/train.ipynb", '"code"', '"code" ', []),
    ("notebooks/credit/train.ipynb", '"outputs": []', '"outputs": [{"output_type": "stream", "text": "x"}]', []),
    ("notebooks/credit/train.ipynb", "seed = ", "seed =  ", ALL),
    ("notebooks/credit/train.ipynb", "import ", "# a comment\\nimport ", ALL),
    ("notebooks/credit/validate.ipynb", "import ", "# a comment\\nimport ", ["validate"]),
    ("data/rows.csv", "1,2", "1,3", ALL),
    ("own.py", "VALUE = 1", "VALUE = 2", ["validate"]),
    ("requirements.lock", "one", "two", ALL),
    ("README", "one", "two", []),
]


@pytest.mark.parametrize(("name", "old", "new", "runs"), BYTES)
def test_one_changed_byte(project: ProjectFolder, name: str, old: str, new: str, runs: list[str]) -> None:
    """After the shipment above: exactly what depends on it would run, and nothing once it is as before."""
    path = project.root / name
    before = path.read_bytes()
    changed(path, old, new)
    steps = project.json("ship", "credit", "--explain")["steps"]
    assert [step["stage"] for step in steps if step["outcome"] == "due"] == runs
    path.write_bytes(before)
