"""Files written all at once, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.adapters.planting import Ground, installed, template
from pipelines.errors import BadInput, Refused
from pipelines.values.starting import Outcome, Sheet
from tests.e2e.line import ROOT


def tree(folder: Path) -> dict[str, str]:
    """All files below a folder, and what stands in them."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_all_are_written_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    """In folders that were not there; one that is added to keeps its mode."""
    (tmp_path / "mine").write_text("before")
    (tmp_path / "mine").chmod(0o640)
    sheets = [Sheet("a/b/c", "é\n"), Sheet("d", "\r\n"), Sheet("mine", "before and after", "before", Outcome.ADDED)]
    Ground(tmp_path).plant(sheets)
    assert (tmp_path / "a/b/c").read_bytes() == "é\n".encode()
    assert (tmp_path / "d").read_bytes() == b"\r\n"
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o640
    assert set(tree(tmp_path)) == {"a/b/c", "d", "mine"}


def test_a_file_that_appears_meanwhile_undoes_all_the_others(tmp_path: Path) -> None:
    """It was not there when it was looked at: it keeps its text, and what was written before it is gone."""
    folder = tmp_path / "new" / "project"
    Ground(tmp_path).plant([Sheet("new/project/second", "theirs"), Sheet("new/project/mine", "before")])
    sheets = [
        Sheet("sub/first", "ours"),
        Sheet("mine", "after", "before", Outcome.ADDED),
        Sheet("second", "ours"),
    ]
    with pytest.raises(Refused, match="second is in the way"):
        Ground(folder).plant(sheets)
    assert tree(folder) == {"second": "theirs", "mine": "before"}
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "second"]


def test_a_folder_that_was_made_is_removed_when_it_cannot_be_filled(tmp_path: Path) -> None:
    """A file where a folder should be stops it: nothing of the new folder is left."""
    with pytest.raises(Refused, match="a is in the way"):
        Ground(tmp_path / "new" / "one").plant([Sheet("a", "1"), Sheet("a/b", "2")])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The system refuses to write on: the error names the cure, and the folder is as it was before."""
    program = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from pipelines.adapters.planting import Ground
from pipelines.errors import StorageFailed
from pipelines.values.starting import Sheet
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Ground(Path({str(tmp_path / "new")!r})).plant([Sheet("small", "x"), Sheet("large", "x" * 5000)])
except StorageFailed as error:
    sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_killed_call_is_gone_on_with(tmp_path: Path) -> None:
    """Its whole files are taken as they are, and what it left beside them is removed; of a living one nothing is."""
    program = "import os; from pathlib import Path\nPath(f'.turnout-init-{os.getpid()}-x').mkdir()\nos._exit(9)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    alive = tmp_path / f".turnout-init-{os.getpid()}-y"
    alive.mkdir()
    (tmp_path / "first").write_text("1")
    Ground(tmp_path).plant([Sheet("first", "1", "1"), Sheet("second", "2")])
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, "first", "second"]


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    """A file of bytes that are no UTF-8 is named; one that is not there is none."""
    (tmp_path / "README.md").write_bytes(b"\xff")
    with pytest.raises(BadInput, match=r"README\.md is not UTF-8"):
        Ground(tmp_path).text("README.md")
    assert Ground(tmp_path).text("nothing") is None
    assert Ground(tmp_path).text("README.md/nothing") is None


def test_templates_and_versions_are_found() -> None:
    """Those of the package; a package that is not installed has no version."""
    assert template("train.cells").startswith("=== markdown")
    assert installed("click")
    assert installed("no-such-package-at-all") is None
