"""What came out: medians, ratios, aims met and missed; as tables and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import Machine
from benchmarks.visit import CONNECTIONS, Outcome
from pipelines.errors import TurnoutError

OURS = "turnout"
RATE_AIMS = {"mlserver": 3.0, "kserve": 3.0, "bentoml": 15.0, "mlflow": 15.0, "bare": 0.8, "checked": 0.9}
READY_AIM_SECONDS = 3.0
MEMORY_AIM_MB = 250.0


@dataclass(frozen=True, slots=True)
class Results:
    """One run of the benchmark.

    Args:
        date: ISO 8601, UTC.
        machine: Where.
        seconds: The length of one press of load.
        busy: Percent of all cores that others used, before the first round and after the last.
        outcomes: All contenders.
    """

    date: str
    machine: Machine
    seconds: float
    busy: tuple[float, float]
    outcomes: tuple[Outcome, ...]

    def of(self, name: str) -> Outcome | None:
        """The outcome of one contender, when it was measured."""
        return next((each for each in self.outcomes if each.contender.name == name and each.visits), None)

    def ratio(self, name: str, connections: int) -> float | None:
        """Turnout's answers a second over those of another, in the median of the rounds that both took part in."""
        ours, theirs = self.of(OURS), self.of(name)
        if ours is None or theirs is None:
            return None
        rates = {visit.round: visit.sample(connections).rate for visit in ours.visits}
        pairs = [(rates.get(visit.round), visit.sample(connections).rate) for visit in theirs.visits]
        ratios = [our / their for our, their in pairs if our is not None and their > 0]
        return median(ratios) if ratios else None

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON."""
        return {
            "date": self.date,
            "machine": self.machine.as_dict(),
            "seconds": self.seconds,
            "busy_percent": {"before": self.busy[0], "after": self.busy[1]},
            "contenders": [
                {
                    **each.as_dict(),
                    "packages": each.contender.versions() if each.visits else {},
                    "medians": medians(each),
                }
                for each in self.outcomes
            ],
            "ratios": {
                name: {str(count): self.ratio(name, count) for count in CONNECTIONS}
                for name in RATE_AIMS
                if self.of(name) is not None
            },
            "missed": missed(self),
        }


def medians(outcome: Outcome) -> dict[str, Any]:
    """Over the rounds of one contender; failures are added up."""
    visits = outcome.visits
    if not visits:
        return {}
    found: dict[str, Any] = {
        "rounds": len(visits),
        "ready_seconds": median(visit.ready_seconds for visit in visits),
        "memory_mb": median(visit.memory_mb for visit in visits),
        "rss_mb": median(visit.rss_mb for visit in visits),
    }
    for count in CONNECTIONS:
        samples = [visit.sample(count) for visit in visits]
        found[str(count)] = {
            "rate": median(each.rate for each in samples),
            "p50_ms": median(each.p50_ms for each in samples),
            "p99_ms": median(each.p99_ms for each in samples),
            "failed": sum(each.failed for each in samples),
        }
    return found


def missed(results: Results) -> list[str]:
    """A sentence for each aim that was not reached or could not be tested."""
    return [*_missed_rates(results), *_missed_by_itself(results.of(OURS))]


def _missed_rates(results: Results) -> list[str]:
    said = []
    for outcome in results.outcomes:
        title, aim = outcome.contender.title, RATE_AIMS.get(outcome.contender.name)
        if aim is None:
            continue
        for count in CONNECTIONS:
            ratio = results.ratio(outcome.contender.name, count)
            if ratio is None:
                said.append(f"Not tested against {title}: {outcome.not_measured or 'Turnout itself was not measured'}.")
                break
            if ratio < aim:
                with_what = f"{count} connection{'' if count == 1 else 's'}"
                said.append(
                    f"Missed: with {with_what} Turnout's host answers {times(ratio)} times as many requests as "
                    f"{title}; the aim is {times(aim)}."
                )
    return said


def _missed_by_itself(ours: Outcome | None) -> list[str]:
    if ours is None:
        return []
    found = medians(ours)
    ready, memory = found["ready_seconds"], found["memory_mb"]
    said = []
    if ready >= READY_AIM_SECONDS:
        said.append(f"Missed: ready after {ready:.1f} s; the aim is under {READY_AIM_SECONDS:.0f} s.")
    if memory >= MEMORY_AIM_MB:
        said.append(f"Missed: {memory:.0f} MB of memory; the aim is under {MEMORY_AIM_MB:.0f} MB.")
    failed = sum(found[str(count)]["failed"] for count in CONNECTIONS)
    if failed:
        said.append(f"Missed: {failed:,} requests to Turnout's host were not answered well.")
    return said


def times(ratio: float) -> str:
    """A ratio with two digits after the point near 1, else one."""
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}"


def write_json(results: Results, path: Path) -> None:
    """Write the run to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, json.dumps(results.as_dict(), indent=1) + "\n")


def tell(said: str, path: Path, marks: tuple[str, str], *, is_kept: bool) -> None:
    """Print what was measured, and where it is to be kept, put it into its document as well.

    Raises:
        TurnoutError: as `put` says.
    """
    print(said)
    if is_kept:
        put(said, path, marks)


def put(said: str, path: Path, marks: tuple[str, str]) -> None:
    """Put what was measured between its marks in a document.

    Raises:
        TurnoutError: the document has no such marks.
    """
    before, begin, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        instead = f"it lies between {marks[0]} and {marks[1]}"
        raise TurnoutError(f"{path.name} has no place for the table", instead=instead)
    replace(path, f"{before}{begin}\n\n{said}\n\n{end}{after}")


def replace(path: Path, text: str) -> None:
    """Put a new text in the place of a file in one step."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
