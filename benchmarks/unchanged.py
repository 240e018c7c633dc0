"""`python -m benchmarks.unchanged`, or `make bench`: how long it takes to find out that nothing has changed.

`turnout ship digits` on the example, and `dvc repro` on a pipeline of the same three stages with the same files as
dependencies: notebooks, lock, parameters. Both have done their work once; what is measured is the same call again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.environments import environment
from benchmarks.machine import QUIET_PERCENT, busy_percent
from benchmarks.material import ROOT
from benchmarks.report import tell

ROUNDS = 15
DOCS = ROOT / "docs" / "caching.md"
MARKS = ("<!-- unchanged: begin -->", "<!-- unchanged: end -->")
PIPELINE = """stages:
  train:
    cmd: cp params.yaml model
    deps: [notebooks/digits/train.ipynb, requirements.lock]
    params: [epochs]
    outs: [model]
  validate:
    cmd: cp model verdict
    deps: [notebooks/digits/validate.ipynb, requirements.lock, model]
    outs: [verdict]
  package:
    cmd: cp model bento
    deps: [model, verdict]
    outs: [bento]
"""


@dataclass
class Contender:
    """One command, with the seconds it took, round by round."""

    title: str
    command: Sequence[str]
    took: list[float] = field(default_factory=list)


def prepare(root: Path, dvc: Path) -> list[Contender]:
    """Both pipelines, each having done its work."""
    shutil.copytree(ROOT / "notebooks" / "digits", root / "notebooks" / "digits")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    (root / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (root / "params.yaml").write_text("epochs: 8\n", encoding="utf-8")
    for arguments in (["init", "--no-scm", "-q"], ["config", "core.analytics", "false"]):
        _run([str(dvc), *arguments], root)
    _run([str(dvc), "config", "core.check_update", "false"], root)
    turnout = str(Path(sys.executable).with_name("turnout"))
    found = [
        Contender("`turnout ship digits`", [turnout, "ship", "digits"]),
        Contender("`dvc repro`", [str(dvc), "repro"]),
    ]
    for contender in found:
        _run(contender.command, root)
    return found


def measure(root: Path, found: Sequence[Contender], rounds: int) -> None:
    """Run each in every round; the first is not counted."""
    for number in range(-1, rounds):
        for contender in found:
            took = _run(contender.command, root)
            if number >= 0:
                contender.took.append(took)


def page(found: Sequence[Contender], busy: float) -> str:
    """The table, with what is needed to judge it."""
    said = f"{time.strftime('%Y-%m-%d')}, {len(found[0].took)} rounds."
    if busy > QUIET_PERCENT:
        said += f" The machine was not quiet: others used {busy:.0f} % of it."
    rows = [said, "", "| nothing has changed | median seconds | slowest |", "|---|---:|---:|"]
    rows += [f"| {each.title} | {median(each.took):.2f} | {max(each.took):.2f} |" for each in found]
    return "\n".join(rows)


def _run(command: Sequence[str], root: Path) -> float:
    started = time.monotonic()
    variables = {**os.environ, "TURNOUT_WARM_KERNELS": "0", "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=root, env=variables, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unchanged", description="How long it takes to find out that nothing has changed."
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is run; {ROUNDS} unless given")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into docs/{DOCS.name}")
    options = parser.parse_args()
    busy = busy_percent()
    dvc = environment("dvc").with_name("dvc")
    with tempfile.TemporaryDirectory() as folder:
        found = prepare(Path(folder), dvc)
        measure(Path(folder), found, options.rounds)
    tell(page(found, busy), DOCS, MARKS, is_kept=options.write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
