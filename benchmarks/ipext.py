"""`python -m benchmarks.ipext`: how long `%load_ext ipext` and the Tab key take, beside what a notebook imports anyway.

Each load is timed in an IPython of its own, in turn, so that all contenders meet the same machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

from benchmarks.material import ROOT

PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""
_SHELL = "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance()"
_TIMED = """
import time
{shell}
begun = time.perf_counter()
{what}
print(time.perf_counter() - begun)
"""
LOADS = {
    "`%load_ext ipext`": "shell.run_line_magic('load_ext', 'ipext')",
    "`import matplotlib.pyplot`": "import matplotlib.pyplot",
    "`import pandas`": "import pandas",
    "`import papermill`": "import papermill",
    "`import mlflow`": "import mlflow",
}
_TABS = """
import time
{shell}
shell.run_line_magic('load_ext', 'ipext')
from IPython.core.completer import provisionalcompleter
with provisionalcompleter():
    for text in {texts!r} * {rounds}:
        begun = time.perf_counter()
        list(shell.Completer.completions(text, len(text)))
        print(time.perf_counter() - begun)
"""
TEXTS = ["%turnout dep", "%deploy --can", "%train d", "%deploy digits@", "d = %rollback digits --to digits@"]


def times(program: str, folder: Path) -> list[float]:
    """The seconds that a program prints, run in a fresh interpreter with compiled modules."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return [float(line) for line in done.stdout.split()]


def main() -> int:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ipext")
    parser.add_argument("--rounds", type=int, default=10, help="how often each is done (default: %(default)s)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text(PROJECT)
        found: dict[str, list[float]] = {what: [] for what in LOADS}
        for number in range(rounds + 1):
            for title, what in LOADS.items():
                seconds = times(_TIMED.format(shell=_SHELL, what=what), folder)
                # The first round compiles the modules.
                found[title] += seconds if number else []
        tabs = times(_TABS.format(shell=_SHELL, texts=TEXTS, rounds=rounds), folder)
    print("| | median ms | p99 ms |\n|---|---:|---:|")
    rows = {**found, f"Tab, the first of each of {len(TEXTS)} lines": tabs[: len(TEXTS)], "Tab, all": tabs}
    for title, seconds in rows.items():
        last = quantiles(seconds, n=100)[-1] if len(seconds) > 1 else seconds[0]
        print(f"| {title} | {1000 * median(seconds):,.0f} | {1000 * last:,.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
