"""`python -m benchmarks.warm_kernels`, or `make bench`: how long a changed parameter takes until the first step.

The example's training notebook notes when its first batch is done, whoever runs it. Each round runs it once with
`turnout train` in a warm kernel, once in an ordinary one and once with papermill's own command, each time with a
learning rate that was not tried before. A round before all others, which is not counted, imports TensorFlow for the
first time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.machine import QUIET_PERCENT, busy_percent
from benchmarks.material import ROOT
from benchmarks.report import tell

ROUNDS = 5
DOCS = ROOT / "docs" / "caching.md"
MARKS = ("<!-- warm kernels: begin -->", "<!-- warm kernels: end -->")
SCRIPTS = Path(sys.executable).parent
NOTEBOOK = "notebooks/digits/train.ipynb"
FIT = "history = model.fit("
FIRST = """class First(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if "FIRST_STEP" in os.environ:
            Path(os.environ.pop("FIRST_STEP")).write_text("done")


"""


@dataclass
class Contender:
    """One way to run the notebook, with what it took, round by round.

    Args:
        title: What it is.
        command: What is run; `{rate}` is the learning rate.
        environment: Variables for it.
        first: Seconds to the first step of the training.
        whole: Seconds to the end of the command.
    """

    title: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def contenders(root: Path) -> list[Contender]:
    """Ours, warm and not, and papermill's command."""
    turnout = [str(SCRIPTS / "turnout"), "train", "digits", "-p", "epochs", "1", "-p", "learning_rate", "{rate}"]
    papermill = [
        str(SCRIPTS / "papermill"),
        NOTEBOOK,
        "out.ipynb",
        "--cwd",
        str((root / NOTEBOOK).parent),
        "-k",
        "python3",
    ]
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{root / 'papermill.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return [
        Contender("`turnout train`, warm kernel", turnout, {"TURNOUT_WARM_KERNELS": "1"}),
        Contender("`turnout train`, ordinary kernel", turnout, {"TURNOUT_WARM_KERNELS": "0"}),
        Contender("`papermill`", [*papermill, "-p", "epochs", "1", "-p", "learning_rate", "{rate}"], store),
    ]


def measure(root: Path, found: Sequence[Contender], rounds: int) -> None:
    """Run each in every round."""
    for number in range(-1, rounds):
        for position, contender in enumerate(found):
            first, whole = _run(contender, root, 0.003 + 0.0001 * number + 0.00001 * position)
            if number >= 0:
                contender.first.append(first)
                contender.whole.append(whole)


def page(found: Sequence[Contender], busy: float) -> str:
    """The table, with what is needed to judge it."""
    said = f"{time.strftime('%Y-%m-%d')}, {len(found[0].first)} rounds, {os.cpu_count()} cores."
    if busy > QUIET_PERCENT:
        said += f" The machine was not quiet: others used {busy:.0f} % of it."
    rows = [said, "", "| | seconds to the first step | to the end | first step against ours |", "|---|---:|---:|---:|"]
    ours = found[0]
    for each in found:
        ratio = median(theirs / our for theirs, our in zip(each.first, ours.first, strict=True))
        rows.append(f"| {each.title} | {median(each.first):.1f} | {median(each.whole):.1f} | {ratio:.1f} |")
    return "\n".join(rows)


def noting(notebook: Mapping[str, object]) -> str:
    """The notebook as JSON, with a callback that writes a file after the first batch."""
    text = json.dumps(notebook)
    changed = text.replace(FIT, json.dumps(FIRST)[1:-1] + FIT).replace("verbose=2", "verbose=2, callbacks=[First()]")
    assert changed.count("First") == 2 + text.count("First")
    return changed


def _run(contender: Contender, root: Path, rate: float) -> tuple[float, float]:
    mark = root / "first-step"
    mark.unlink(missing_ok=True)
    command = [part.format(rate=f"{rate:.6f}") for part in contender.command]
    environment = {**os.environ, **contender.environment, "FIRST_STEP": str(mark)}
    started = time.time()
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    ended = time.time()
    return mark.stat().st_mtime - started, ended - started


@contextmanager
def project() -> Iterator[Path]:
    """The example in a folder of its own, its training noting its first step; its processes are gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "notebooks" / "digits", root / "notebooks" / "digits")
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, root)
        notebook = json.loads((root / NOTEBOOK).read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
        (root / NOTEBOOK).write_text(noting(notebook), encoding="utf-8")
        try:
            yield root
        finally:
            subprocess.run([str(SCRIPTS / "turnout"), "down"], cwd=root, check=True, capture_output=True)


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.warm_kernels", description="How long a changed parameter takes to the first step."
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is run; {ROUNDS} unless given")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into docs/{DOCS.name}")
    options = parser.parse_args()
    busy = busy_percent()
    with project() as root:
        found = contenders(root)
        measure(root, found, options.rounds)
    tell(page(found, busy), DOCS, MARKS, is_kept=options.write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
