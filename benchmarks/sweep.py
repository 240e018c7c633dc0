"""`python -m benchmarks.sweep`, or `make bench`: eight trainings of one notebook, by one command and by papermill's.

The example's training notebook with eight learning rates, three ways in one run: eight calls of papermill in a row,
the same two at a time, and one `turnout sweep` of two at a time. The sweep's time holds all that the command does: the
import of TensorFlow into the process that kernels come from, the registration of eight versions, and the validation of
the best. A call of papermill before all others, which is not counted, reads TensorFlow from the disk for the first
time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import QUIET_PERCENT, busy_percent
from benchmarks.material import ROOT
from benchmarks.report import tell
from benchmarks.warm_kernels import NOTEBOOK, SCRIPTS, project

RUNS = 8
AT_ONCE = 2
EPOCHS = 2
DOCS = ROOT / "docs" / "automation.md"
MARKS = ("<!-- sweep: begin -->", "<!-- sweep: end -->")


@dataclass(frozen=True)
class Took:
    """One way to do all of it.

    Args:
        title: What it is.
        seconds: How long that took.
    """

    title: str
    seconds: float


def measure(root: Path, runs: int, epochs: int) -> list[Took]:
    """Each way once, in one run; the last one is ours.

    Raises:
        RuntimeError: a training failed, or the sweep made fewer versions than were asked for.
    """
    rates = [0.001 + 0.0005 * number for number in range(runs)]
    _papermill(root, 0.01, epochs, "first")
    return [
        Took("`papermill`, one after the other", _timed(lambda: _all(root, rates, epochs, 1))),
        Took(f"`papermill`, {AT_ONCE} at a time", _timed(lambda: _all(root, rates, epochs, AT_ONCE))),
        Took(f"`turnout sweep --jobs {AT_ONCE}`", _timed(lambda: _sweep(root, rates, epochs))),
    ]


def page(took: Sequence[Took], runs: int, epochs: int, busy: float) -> str:
    """The table, with what is needed to judge it."""
    said = f"{time.strftime('%Y-%m-%d')}, {runs} trainings of {epochs} epochs each, {os.cpu_count()} cores, one run."
    if busy > QUIET_PERCENT:
        said += f" The machine was not quiet: others used {busy:.0f} % of it."
    ours = took[-1].seconds
    rows = [f"| {each.title} | {each.seconds:.0f} | {each.seconds / ours:.1f} |" for each in took]
    return "\n".join([said, "", "| | seconds for all | against ours |", "|---|---:|---:|", *rows])


def _all(root: Path, rates: Sequence[float], epochs: int, at_once: int) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(_papermill, root, rate, epochs, f"{at_once}-{rate:.6f}") for rate in rates]:
            done.result()


def _papermill(root: Path, rate: float, epochs: int, name: str) -> None:
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{root / 'papermill.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    given = ["-p", "epochs", str(epochs), "-p", "learning_rate", f"{rate:.6f}"]
    command = [str(SCRIPTS / "papermill"), NOTEBOOK, f"out-{name}.ipynb", "--cwd", str((root / NOTEBOOK).parent)]
    _run(root, [*command, "-k", "python3", *given], store)


def _sweep(root: Path, rates: Sequence[float], epochs: int) -> None:
    listed = ",".join(f"{rate:.6f}" for rate in rates)
    given = ["-p", "learning_rate", listed, "-p", "epochs", str(epochs), "--jobs", str(AT_ONCE)]
    said = _run(
        root,
        [str(SCRIPTS / "turnout"), "sweep", "digits", *given, "--by", "val_accuracy", "--json"],
        {"TURNOUT_WARM_KERNELS": "1"},
        # Whether the best passes its gates after so few epochs is none of this.
        codes=(0, 1),
    )
    done = [run for run in json.loads(said)["runs"] if run["status"] == "done"]
    if len(done) != len(rates):
        raise RuntimeError(f"the sweep made {len(done)} versions of {len(rates)}: {said}")


def _run(root: Path, command: Sequence[str], environment: Mapping[str, str], codes: Sequence[int] = (0,)) -> str:
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in codes:
        raise RuntimeError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _timed(work: Callable[[], None]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description="How long eight trainings take.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many trainings; {RUNS} unless given")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of each; {EPOCHS} unless given")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into docs/{DOCS.name}")
    options = parser.parse_args()
    busy = busy_percent()
    with project() as root:
        took = measure(root, options.runs, options.epochs)
    tell(page(took, options.runs, options.epochs, busy), DOCS, MARKS, is_kept=options.write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
