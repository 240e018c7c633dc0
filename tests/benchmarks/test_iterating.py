"""The benchmarks of changed parameters, of nothing changed and of a sweep: what they run, and what their tables say."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import sweep, unchanged, warm_kernels
from benchmarks.material import ROOT
from benchmarks.report import put


def test_the_notebook_notes_its_first_step() -> None:
    """The example's training is told to note it, and nothing else of the notebook changes."""
    notebook = json.loads((ROOT / warm_kernels.NOTEBOOK).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    noted = json.loads(warm_kernels.noting(notebook))
    pairs = zip(noted["cells"], notebook["cells"], strict=True)
    (changed,) = [after["source"] for after, before in pairs if after != before]
    assert "verbose=2, callbacks=[First()]" in changed
    compile(changed, "cell", "exec")


def test_the_tables_have_medians_and_ratios_of_one_round(tmp_path: Path) -> None:
    """Ratios are taken within a round, since the machine is never equally quiet; both tables have their place."""
    ours = warm_kernels.Contender("ours", [], first=[1.0, 2.0, 1.0], whole=[5.0, 6.0, 7.0])
    theirs = warm_kernels.Contender("theirs", [], first=[8.0, 8.0, 9.0], whole=[15.0, 16.0, 17.0])
    assert "| theirs | 8.0 | 16.0 | 8.0 |" in warm_kernels.page([ours, theirs], busy=1)
    text = unchanged.page([unchanged.Contender("ours", [], took=[0.4, 0.5, 0.9])], busy=55)
    assert "| ours | 0.50 | 0.90 |" in text
    assert "55 %" in text
    docs = tmp_path / "caching.md"
    docs.write_text(warm_kernels.DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    put("WARM", docs, warm_kernels.MARKS)
    put("SAME", docs, unchanged.MARKS)
    assert "WARM" in docs.read_text(encoding="utf-8")
    assert "SAME" in docs.read_text(encoding="utf-8")


def test_a_sweep_is_set_against_each_other_way(tmp_path: Path) -> None:
    """The last one is ours, and the others are told as multiples of it; the table has its place in the docs."""
    took = [sweep.Took("in a row", 100.0), sweep.Took("two at a time", 60.0), sweep.Took("ours", 20.0)]
    text = sweep.page(took, 8, 2, busy=1)
    assert "8 trainings of 2 epochs" in text
    assert "| in a row | 100 | 5.0 |" in text
    assert "| two at a time | 60 | 3.0 |" in text
    assert "not quiet" not in text
    docs = tmp_path / "automation.md"
    docs.write_text(sweep.DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    put("SWEPT", docs, sweep.MARKS)
    assert "SWEPT" in docs.read_text(encoding="utf-8")
