"""Which runs a sweep has, and which of them is the best."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pipelines.errors import BadInput
from pipelines.policy.metrics import BETTER, Direction, improves
from pipelines.values import ModelConfig, ModelVersion
from pipelines.values.sweeps import SweepRun

MOST_RUNS = 1000
"""Runs of one sweep; more are a typing mistake, or want another tool."""

_STAGES = ("train_", "val_", "valid_", "validation_", "test_", "eval_")
_VERSUS = "_vs_champion"
Texts = dict[str, str]


def grid(options: Mapping[str, Sequence[str]]) -> list[Texts]:
    """Every combination, the last parameter varying fastest.

    Raises:
        BadInput: there is none, or far too many; or a range, which has no end of values.
    """
    total = _total(options)
    ranges = [name for name, values in options.items() if any(_span(text) for text in values)]
    if ranges:
        raise BadInput(
            f"{ranges[0]} is a range", instead="a grid takes values", then="`--random N` draws N values from ranges."
        )
    _refuse_many(total)
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


def drawn(options: Mapping[str, Sequence[str]], count: int, seed: int) -> list[Texts]:
    """`count` combinations drawn at random, none of them twice; the same ones for the same seed.

    A value `0.001..0.1` is a range: whole numbers between whole ends, others evenly on a logarithmic scale when the
    text ends in `:log`. As many as there are, when there are not as many.
    """
    total = _total(options)
    if count < 1:
        raise BadInput(f"--random {count}", instead="at least one run is drawn")
    _refuse_many(count)
    chance = random.Random(seed)  # noqa: S311 - nothing is secret here
    if not any(_span(text) for values in options.values() for text in values):
        return [_nth(options, place) for place in sorted(chance.sample(range(total), min(count, total)))]
    found = [{name: _one(chance.choice(values), chance) for name, values in options.items()} for _ in range(count)]
    return [dict(pairs) for pairs in dict.fromkeys(tuple(each.items()) for each in found)]


def listed(rows: Iterable[Mapping[str, str]], source: str) -> list[Texts]:
    """The runs as a file has them.

    Raises:
        BadInput: there is none, or far too many.
    """
    found = [dict(row) for row in rows]
    if not found:
        raise BadInput(f"{source} has no runs", instead="each row, or each object, is one run")
    _refuse_many(len(found))
    return found


def direction(metric: str, said: Direction | None) -> Direction:
    """Which way a metric improves.

    Args:
        metric: Its name; `val_`, `train_` and such in front of a known one do not matter.
        said: What the person says.

    Raises:
        BadInput: nobody says, or the person says what is not so.
    """
    bare = next((metric.removeprefix(stage) for stage in _STAGES if metric.startswith(stage)), metric)
    known: Direction | None = "lower" if bare == "loss" else improves(bare)
    if known and said and known != said:
        raise BadInput(f"--better {said}", instead=f"{metric} is better when {known}")
    if known or said:
        return known or said or "higher"
    raise BadInput(
        f"nobody knows whether a high {metric} is good",
        instead=f"known are loss, {', '.join(BETTER)}, also with val_ or train_ in front",
        then="`--better higher` or `--better lower` says it.",
    )


def usual_metric(model: ModelConfig) -> str:
    """What the model's gates compare, or else bound.

    Raises:
        BadInput: no gate is on a metric whose direction is known.
    """
    gates = model.gates
    named = [each.metric for each in gates.comparisons] + [each.metric for each in gates.thresholds]
    for metric in named:
        if improves(metric):
            return metric
    raise BadInput("no metric is named to choose the best by", then="`--by accuracy` names one.")


def measured(version: ModelVersion, metric: str) -> float | None:
    """What a version has of a metric: what was logged, or else what its gates found out; None for neither."""
    value = version.metrics.get(metric)
    if value is None and version.report is not None:
        value = next((check.observed for check in version.report.checks if check.name == metric), None)
    return value


def best(runs: Iterable[SweepRun], better: Literal["higher", "lower"]) -> SweepRun | None:
    """The best run with a finite value; of equal ones the first. None when there is none."""
    found = [run for run in runs if run.status.is_over and run.value is not None and math.isfinite(run.value)]
    sign = -1.0 if better == "higher" else 1.0
    return min(found, key=lambda run: (sign * (run.value or 0.0), run.number), default=None)


def _total(options: Mapping[str, Sequence[str]]) -> int:
    if not options:
        raise BadInput("no parameter varies", then="`-p learning_rate 0.1,0.01` names one with its values.")
    empty = [name for name, values in options.items() if not values]
    if empty:
        raise BadInput(f"{empty[0]} has no values", then=f"`-p {empty[0]} VALUE,VALUE` gives it some.")
    return math.prod(len(values) for values in options.values())


def _refuse_many(count: int) -> None:
    if count > MOST_RUNS:
        raise BadInput(
            f"that would be {count:,} runs",
            instead=f"a sweep has at most {MOST_RUNS:,}",
            then="`--random 50` draws some of them.",
        )


def _nth(options: Mapping[str, Sequence[str]], place: int) -> Texts:
    found: Texts = {}
    for name in reversed(list(options)):
        place, index = divmod(place, len(options[name]))
        found[name] = options[name][index]
    return {name: found[name] for name in options}


def _span(text: str) -> tuple[str, str, bool] | None:
    bare = text.removesuffix(":log")
    low, dots, high = bare.partition("..")
    try:
        float(low), float(high)
    except ValueError:
        return None
    return (low, high, bare != text) if dots else None


def _one(text: str, chance: random.Random) -> str:
    span = _span(text)
    if span is None:
        return text
    low, high, is_log = float(span[0]), float(span[1]), span[2]
    if not low < high or (is_log and low <= 0):
        raise BadInput(f"the range {text}", instead="it rises, and begins above 0 on a logarithmic scale")
    if is_log:
        value = math.exp(chance.uniform(math.log(low), math.log(high)))
    elif _is_whole(span[0]) and _is_whole(span[1]):
        return str(chance.randint(int(span[0]), int(span[1])))
    else:
        value = chance.uniform(low, high)
    return f"{value:.6g}"


def _is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True
