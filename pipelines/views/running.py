"""Views of what runs: the daemon's own words as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.views.base import View
from pipelines.views.blocks import Bar, Block, Cell, Facts, Grid, Heading, Line, Tone
from pipelines.views.parts import age_text

HEALTH = {"ready": Tone.GOOD, "starting": Tone.UNSURE, "unhealthy": Tone.BAD, "failed": Tone.BAD}
_PHASES = {
    "empty": Tone.PLAIN,
    "live": Tone.GOOD,
    "canary": Tone.UNSURE,
    "shadow": Tone.UNSURE,
    "baking": Tone.UNSURE,
}


@dataclass(frozen=True)
class DeploymentView(View):
    """One model as it runs after a command; its `str` is the version that carries most of the traffic.

    Args:
        model: The model.
        entry: Its part of the status: `url`, `phase`, `versions` by REF and more.
        said: What the command did, in a sentence.
    """

    model: str
    entry: Mapping[str, Any]
    said: str = ""

    def blocks(self) -> Sequence[Block]:
        """What was done, then the table of the versions."""
        return [*([Line(self.said)] if self.said else []), *model_blocks(self.model, self.entry)]

    def document(self) -> Mapping[str, Any]:
        """The model's entry, with its name, and what the command did where it says so."""
        return {"model": self.model, **({"said": self.said} if self.said else {}), **self.entry}

    def __str__(self) -> str:
        versions = self.entry.get("versions", {})
        return max(versions, key=lambda ref: versions[ref]["weight"], default=self.model)


@dataclass(frozen=True)
class StatusView(View):
    """All that runs.

    Args:
        status: As the daemon reports it: `models`, by name.
        model: The one that was asked for; None when all were.
    """

    status: Mapping[str, Any]
    model: str | None = None

    def blocks(self) -> Sequence[Block]:
        """A table for each model."""
        models = self.status["models"]
        if not models:
            return [Line("Nothing is deployed; `turnout deploy REF` starts a packaged version.")]
        return [block for name, entry in models.items() for block in model_blocks(name, entry)]

    def document(self) -> Mapping[str, Any]:
        """`models`, by name."""
        return self.status


@dataclass(frozen=True)
class PlanView(View):
    """What a command would do.

    Args:
        model: The model.
        steps: In words, in their order; none when all is so already.
    """

    model: str
    steps: Sequence[str]

    def blocks(self) -> Sequence[Block]:
        """The steps, numbered."""
        if not self.steps:
            return [Line(f"Nothing to do: {self.model} is so already.")]
        rows = [[Cell(str(number), is_number=True), Cell(step)] for number, step in enumerate(self.steps, 1)]
        return [Line("This would be done; nothing was changed."), Grid(("step", "what"), rows)]

    def document(self) -> Mapping[str, Any]:
        """`model`, `dry_run` and `steps`."""
        return {"model": self.model, "dry_run": True, "steps": list(self.steps)}


@dataclass(frozen=True)
class UpView(View):
    """What bringing back what was live would do.

    Args:
        plans: The steps in words, by model; a model that needs none is not among them.
    """

    plans: Mapping[str, Sequence[str]]

    def blocks(self) -> Sequence[Block]:
        """The steps, model by model."""
        if not self.plans:
            return [Line("Nothing to bring back: what was live serves, or nothing ever was.")]
        rows = [[Cell(model), Cell(step)] for model, steps in self.plans.items() for step in steps]
        return [Line("This would be done; nothing was changed."), Grid(("model", "what"), rows)]

    def document(self) -> Mapping[str, Any]:
        """`dry_run` and `models`, the steps by name."""
        return {"dry_run": True, "models": {model: list(steps) for model, steps in self.plans.items()}}


@dataclass(frozen=True)
class DownView(View):
    """What was stopped.

    Args:
        models: The models that served; None when nothing ran.
        is_dry: Whether nothing was stopped yet.
    """

    models: Sequence[str]
    is_dry: bool = False

    def blocks(self) -> Sequence[Block]:
        """One sentence."""
        named = ", ".join(self.models)
        if self.is_dry:
            return [Line(f"This would stop {named or 'the runtime; nothing serves'}.")]
        return [Line(f"Stopped: {named}; `turnout up` brings back what was live." if named else "Nothing runs.")]

    def document(self) -> Mapping[str, Any]:
        """`stopped` and `dry_run`."""
        return {"stopped": list(self.models), "dry_run": self.is_dry}


def model_blocks(name: str, entry: Mapping[str, Any]) -> list[Block]:
    """A model's card: its versions and whatever is under way."""
    versions: Mapping[str, Mapping[str, Any]] = entry["versions"]
    blocks: list[Block] = [phase_heading(name, entry)]
    split = split_bar(versions)
    blocks += [split] if split else []
    blocks += [_table(versions)] if versions else []
    facts = deployment_facts(entry)
    if entry.get("rollout"):
        facts.insert(0, ("rollout", rollout_text(entry["rollout"])))
    return [*blocks, Facts(facts)] if facts else blocks


def phase_heading(name: str, entry: Mapping[str, Any]) -> Heading:
    """The model, its phase and its address."""
    phase = str(entry["phase"])
    return Heading(name, Cell(phase, _PHASES.get(phase, Tone.PLAIN), is_badge=True), str(entry["url"]))


def deployment_facts(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is under way, and what is remembered of the versions."""
    facts = []
    if entry.get("operation"):
        facts.append(("under way", operation_text(entry["operation"])))
    if entry.get("bake_until"):
        facts.append(("baking until", f"{_moment(entry['bake_until'])} UTC"))
    facts += quality_facts(entry.get("quality")) + drift_facts(entry.get("drift"))
    return [*facts, *(("quarantined", f"{ref}: {reason}") for ref, reason in (entry.get("quarantined") or {}).items())]


def quality_facts(quality: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """How well each version has answered, by the labels that came later."""
    versions = quality["versions"] if quality else {}
    return [(f"quality of {ref}", _quality(one)) for ref, found in versions.items() for one in found]


def drift_facts(drift: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Which versions get other rows than those they were validated with, or may do so."""
    versions = drift["versions"] if drift else {}
    told = {ref: one for ref, one in versions.items() if one["state"] in ("drifting", "suspected")}
    return [(f"drift of {ref}", f"{one['state']}: {one['says']}") for ref, one in told.items()]


def _quality(one: Mapping[str, Any]) -> str:
    around = "" if one["low"] is None else f" ({one['low']:.3g} to {one['high']:.3g})"
    return f"{one['kind'].replace('_', ' ')} {one['value']:.3g}{around}, {one['requests']:,} requests"


def rollout_text(rollout: Mapping[str, Any]) -> str:
    """What the judge says of it."""
    return f"{str(rollout.get('state', '')).replace('_', ' ')}: {rollout.get('reason', '')}"


def operation_text(operation: Mapping[str, Any]) -> str:
    """`deploy, step 3 of 6: route ...`, with as much as is known."""
    step, steps = operation.get("step"), operation.get("steps")
    where = f", step {step} of {steps}" if step and steps else ""
    return f"{operation.get('verb', 'an operation')}{where}"


def split_bar(versions: Mapping[str, Mapping[str, Any]]) -> Bar | None:
    """Who gets what share; None where nobody gets any."""
    shares = [(ref, float(version["weight"])) for ref, version in versions.items() if version["weight"]]
    return Bar("traffic", shares) if shares else None


def _table(versions: Mapping[str, Mapping[str, Any]]) -> Grid:
    rows = [_row(ref, version) for ref, version in versions.items()]
    # What is the same everywhere and as it should be tells nobody anything.
    usual = {"replicas": "1", "restarts": "0"}
    told = [name for name in rows[0] if name not in usual or any(row[name].text != usual[name] for row in rows)]
    return Grid(told, [[row[name] for name in told] for row in rows], spare=("memory", "age", "role"))


def _row(ref: str, version: Mapping[str, Any]) -> dict[str, Cell]:
    failures, restarts = int(version["failures"]), int(version["restarts"])
    health = str(version["health"])
    age = version["age_seconds"]
    return {
        "version": Cell(ref),
        "weight": Cell(f"{version['weight']} %", is_number=True),
        "role": Cell(str(version["role"])),
        "health": Cell(health, HEALTH.get(health, Tone.PLAIN), is_badge=True),
        "age": Cell("-" if age is None else age_text(age), is_number=True),
        "requests": Cell(str(version["requests"]), is_number=True),
        "failures": Cell(str(failures), Tone.BAD if failures else Tone.PLAIN, is_number=True),
        "replicas": Cell(str(version["replicas"]), is_number=True),
        "memory": Cell(f"{version['memory_mb']:.0f} MB", is_number=True),
        "restarts": Cell(str(restarts), Tone.UNSURE if restarts else Tone.PLAIN, is_number=True),
    }


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"
