"""`python -m tests.soak.reliability`, or `make soak`: what is promised of the local target, measured.

Each part starts a project of its own in a temporary folder, with versions made by hand, and ends all it started.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import re
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from tests.e2e.line import ROOT
from tests.soak.canaries import bad_verdicts, equal_versions
from tests.soak.kills import VICTIMS, hung_host, kills, reboot
from tests.soak.long import bad_canaries, endurance, full_disk, operators
from tests.soak.notebook import open_monitor
from tests.soak.outcome import Outcome
from tests.soak.sequences import sequences
from tests.soak.traffic import first_answers, rollbacks, switches

PARTS = {
    "switches": switches,
    "rollbacks": rollbacks,
    "first_answers": first_answers,
    "bad_canaries": bad_canaries,
    **{f"kills_{victim}": partial(kills, victim=victim) for victim in VICTIMS},
    "reboot": reboot,
    "operators": operators,
    "full_disk": full_disk,
    "endurance": endurance,
    "open_monitor": open_monitor,
    "bad_verdicts": bad_verdicts,
    "equal_versions": equal_versions,
    "sequences": sequences,
    "hung_host": hung_host,
}
RESULTS = ROOT / "build" / "soak"
PAGE = ROOT / "docs" / "reliability.md"
MARK = "<!-- measured by `make soak` -->"


def main() -> int:
    """Run the parts; return 1 when a promise was not held."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.reliability")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (default: all)")
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the full length (default: %(default)s)")
    parser.add_argument("--write-docs", action="store_true", help=f"put these parts into docs/{PAGE.name}")
    options = parser.parse_args()
    verdicts = []
    for name in options.only.split(","):
        begun = time.monotonic()
        _say(f"{name} ...")
        outcome = _run(name, options.scale)
        length = "" if options.scale == 1 else f", {options.scale:.0%} of its full length"
        text = f"{outcome.markdown()}\n{_measured()}{length}.\n"
        _say(f"{text}\n({time.monotonic() - begun:.0f} s)")
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
        verdicts.append(outcome.verdict)
    if options.write_docs:
        measured = [RESULTS / f"{name}.md" for name in options.only.split(",")]
        PAGE.write_text(
            renewed(PAGE.read_text(encoding="utf-8"), [part.read_text("utf-8") for part in measured]), "utf-8"
        )
    return int("NOT HELD" in verdicts)


def renewed(page: str, parts: list[str]) -> str:
    """The page with these parts in the place of those of the same title; a new one comes last, the others stay."""
    head, _, old = page.partition(MARK)
    sections = {_title(text): text for text in re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]}
    sections |= {_title(text): text for text in parts}
    return f"{head}{MARK}\n\n" + "\n".join(text.strip() + "\n" for text in sections.values())


def _title(section: str) -> str:
    """Its heading without the verdict."""
    return section.partition("\n")[0].rpartition(": ")[0]


def _run(name: str, scale: float) -> Outcome:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            return PARTS[name](Path(folder), scale)
        except Exception as error:  # noqa: BLE001 - the other parts are wanted all the same
            traceback.print_exc()
            return Outcome(name, "NOT HELD", problems=[f"{type(error).__name__}: {error}"])


def _measured() -> str:
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {psutil.cpu_count()} cores, {system}"


def _say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
