"""Turnout's host side by side with what people use instead: `python -m benchmarks.serving`, or `make bench`.

One network, one client, one server at a time. In each round the contenders are started one after the other, each time
in another order, compared with Keras' own answers, pressed with 1, 16 and 64 connections, weighed and stopped.
"""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.field import Contender, contenders
from benchmarks.load import wrk_version
from benchmarks.machine import QUIET_PERCENT, Machine, busy_percent
from benchmarks.material import ROOT, Material, prepare
from benchmarks.report import Results, put, write_json
from benchmarks.tables import MARKS, page
from benchmarks.visit import Outcome
from pipelines.errors import BadInput, TurnoutError

WORK = ROOT / "build" / "benchmarks"
RESULTS = Path(__file__).with_name("results") / "serving.json"
DOCS = ROOT / "docs" / "performance.md"
ROUNDS = 5
SECONDS = 5.0


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="Compare ways to serve a model.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--only", metavar="NAME,NAME", default="", help="leave out all other contenders")
    parser.add_argument("--write-docs", action="store_true", help=f"put the tables into docs/{DOCS.name}")
    options = parser.parse_args(given)
    if options.write_docs and (options.quick or options.only):
        parser.error("--write-docs takes a whole run, without --quick and --only")
    return options


def compete(outcomes: list[Outcome], material: Material, rounds: int, seconds: float) -> None:
    """Let each contender take part in its rounds; the first of one round is the last of the next."""
    for number in range(rounds):
        turn = number % len(outcomes)
        for outcome in outcomes[turn:] + outcomes[:turn]:
            if rounds < ROUNDS or number in outcome.contender.rounds:
                outcome.visit(number, material, seconds, say)


def chosen(field: list[Contender], names: str) -> list[Contender]:
    """The contenders named in `--only`, or all.

    Raises:
        BadInput: there is none of a name.
    """
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = [contender.name for contender in field]
    if unknown := wanted.difference(known):
        raise BadInput(f"there is no contender {sorted(unknown)[0]!r}", instead=f"there are {', '.join(known)}")
    return [contender for contender in field if contender.name in wanted] if wanted else field


def run(options: argparse.Namespace) -> Results:
    """Prepare, compete, collect."""
    wrk_version()
    outcomes = [Outcome(contender) for contender in chosen(contenders(), options.only)]
    WORK.mkdir(parents=True, exist_ok=True)
    material = prepare(WORK)
    for outcome in outcomes:
        outcome.prepare()
    rounds, seconds = (1, 1.0) if options.quick else (ROUNDS, SECONDS)
    before = busy_percent()
    if before > QUIET_PERCENT:
        say(f"{before:.0f} % of this machine is in use by others: the numbers will not be worth much")
    compete(outcomes, material, rounds, seconds)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Results(now, Machine.here(), seconds, (before, busy_percent()), tuple(outcomes))


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run it, and return the exit code."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server at work is stopped
    try:
        results = run(options)
        print(page(results))
        # Of a part or a short run nothing is kept: those numbers are for looking at.
        write_json(results, WORK / "quick.json" if options.quick or options.only else RESULTS)
        if options.write_docs:
            put(page(results), DOCS, MARKS)
    except TurnoutError as error:
        say(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
