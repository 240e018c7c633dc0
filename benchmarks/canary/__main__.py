"""`python -m benchmarks.canary`: how the judge of canaries fares beside fixed thresholds and a repeated z-test.

All judges see the same simulated traffic: an hour of rollout at a tenth of the traffic, looked at each minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.canary import judges, traffic
from benchmarks.canary.judges import NEVER, Looks
from benchmarks.canary.traffic import Traffic
from benchmarks.report import put

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "canary.md"
PICTURES = ROOT / "docs" / "canary"
MARKS = ("<!-- simulated: begin -->", "<!-- simulated: end -->")

SEED = 20260131
SHARE = 0.1
STABLE_RATE = 0.005
MINUTES = 60
CHECKS = 20
"""Minutes that the tools with thresholds look for before they promote."""
RATES = (10, 30, 100, 300, 1000)
"""Requests of the candidate a minute."""
RISKS = (2.0, 4.0, 10.0, 40.0)
"""How many times as often a bad candidate fails."""
OURS = "Turnout"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one judge came to, by run: the minute of the rollback and of the promotion, or NEVER."""

    rolled_back: Looks
    promoted: Looks


Judge = Callable[[Traffic], Verdicts]


def _ours(seen: Traffic) -> Verdicts:
    harm, proved = judges.harm(seen, 0.005), judges.promotion(seen, 0.05)
    is_first = (harm != NEVER) & ((proved == NEVER) | (harm <= proved))
    return Verdicts(np.where(is_first, harm, NEVER), np.where(is_first, NEVER, proved))


def _threshold(tolerated: int) -> Judge:
    def judge(seen: Traffic) -> Verdicts:
        window = Traffic(
            seen.share[:CHECKS],
            seen.candidate[:, :CHECKS],
            seen.stable[:, :CHECKS],
            {
                share: traffic.Failures(failed.candidate[:, :CHECKS], failed.stable[:, :CHECKS])
                for share, failed in seen.failures.items()
            },
        )
        return Verdicts(*judges.thresholds(window, 1, tolerated=tolerated))

    return judge


def _repeated_z(seen: Traffic) -> Verdicts:
    rolled_back = judges.repeated_z(seen, 1)
    last = seen.candidate.shape[1] - 1
    return Verdicts(rolled_back, np.where(rolled_back == NEVER, last, NEVER))


JUDGES: Mapping[str, Judge] = {
    OURS: _ours,
    "success >= 99 %, no failed check": _threshold(0),
    "success >= 99 %, five failed checks": _threshold(5),
    "z-test at 5 %, each minute": _repeated_z,
}


def simulate(rate: int, risk: float, runs: int) -> Traffic:
    """An hour of traffic, by the minute."""
    share, stable = traffic.steady(SHARE, MINUTES), traffic.steady(STABLE_RATE, MINUTES)
    random = np.random.default_rng([SEED, rate, round(100 * risk)])
    return traffic.simulate(random, runs, round(rate / SHARE), share, stable, np.minimum(1.0, risk * stable))


def measure(runs: int) -> dict[tuple[str, int, float], Verdicts]:
    """Each judge's verdicts by its name, the candidate's requests a minute, and its risk; 1 is a healthy one."""
    found = {}
    for rate in RATES:
        for risk in (1.0, *RISKS):
            seen = simulate(rate, risk, runs)
            for name, judge in JUDGES.items():
                found[name, rate, risk] = judge(seen)
    return found


def median_minutes(minutes: Looks) -> float | None:
    """The median minute, of those that came to it; None when fewer than half did."""
    reached = minutes[minutes != NEVER]
    return float(np.median(reached)) + 1 if len(reached) * 2 >= len(minutes) else None


def page(found: Mapping[tuple[str, int, float], Verdicts], runs: int) -> str:
    """The tables."""
    healthy = [
        [name, *(f"{judges.share_of(found[name, rate, 1.0].rolled_back):.1%}" for rate in RATES)] for name in JUDGES
    ]
    wrong = [[name, *(f"{judges.share_of(found[name, rate, 4.0].promoted):.1%}" for rate in RATES)] for name in JUDGES]
    soon = [
        [name, *(_time(found[name, 100, risk].rolled_back) for risk in RISKS), _time(found[name, 100, 1.0].promoted)]
        for name in JUDGES
    ]
    by_rate = [f"{rate:,} a minute" for rate in RATES]
    return "\n\n".join(
        (
            f"{runs:,} rollouts of an hour, a tenth of the traffic; the stable version fails at {STABLE_RATE:.1%}",
            "**A healthy candidate is rolled back** (by the candidate's requests a minute):",
            _table(["judge", *by_rate], healthy),
            "**A candidate that fails four times as often is promoted:**",
            _table(["judge", *by_rate], wrong),
            "**How soon** (100 requests of the candidate a minute; the median of those that came to it, how many did):",
            _table(["judge", *(f"rolled back, {risk:g} times as bad" for risk in RISKS), "healthy: promoted"], soon),
        )
    )


def _time(minutes: Looks) -> str:
    reached = judges.share_of(minutes)
    if not reached:
        return "never"
    return f"{np.median(minutes[minutes != NEVER]) + 1:.0f} min ({reached:.0%})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def draw(found: Mapping[tuple[str, int, float], Verdicts], folder: Path) -> None:
    """The pictures: false rollbacks, how soon harm is seen, how soon a healthy candidate is promoted."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    colors = dict(zip(JUDGES, ("#1f6feb", "#b42318", "#d9822b", "#6e7781"), strict=True))

    def save(name: str, title: str, ylabel: str, xlabel: str) -> None:
        plt.title(title, loc="left", fontsize=11)
        plt.xlabel(xlabel)
        plt.ylabel(ylabel)
        plt.grid(axis="y", color="#d0d7de", linewidth=0.6)
        plt.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncol=2)
        plt.gca().spines[["top", "right"]].set_visible(False)
        plt.tight_layout()
        plt.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
        plt.close()

    folder.mkdir(parents=True, exist_ok=True)
    for name, verdicts, title, ylabel in (
        ("false-rollbacks", "rolled_back", "A healthy candidate is rolled back within an hour", "rolled back, %"),
        ("promotions", "promoted", "A healthy candidate is promoted within an hour", "promoted, %"),
    ):
        plt.figure(figsize=(7.2, 4.0))
        for judge, color in colors.items():
            shares = [100 * judges.share_of(getattr(found[judge, rate, 1.0], verdicts)) for rate in RATES]
            plt.plot(RATES, shares, "o-", color=color, label=judge, linewidth=2)
        plt.xscale("log")
        plt.xticks(RATES, [f"{rate:,}" for rate in RATES])
        plt.minorticks_off()
        plt.ylim(-3, 103)
        save(name, title, ylabel, "requests of the candidate a minute")
    plt.figure(figsize=(7.2, 4.0))
    for judge, color in colors.items():
        shares = [100 * judges.share_of(found[judge, 30, risk].rolled_back) for risk in RISKS]
        plt.plot(range(len(RISKS)), shares, "o-", color=color, label=judge, linewidth=2)
    plt.xticks(range(len(RISKS)), [f"{risk:g} times" for risk in RISKS])
    plt.ylim(-3, 103)
    save(
        "detection",
        "A bad candidate is rolled back within an hour (30 requests a minute)",
        "rolled back, %",
        "how many times as often it fails",
    )


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000, help="rollouts of each kind (default: %(default)s)")
    parser.add_argument("--write-docs", action="store_true", help=f"put tables and pictures into docs/{DOCS.name}")
    options = parser.parse_args()
    found = measure(options.runs)
    text = page(found, options.runs)
    print(text)
    if options.write_docs:
        draw(found, PICTURES)
        put(text, DOCS, MARKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
