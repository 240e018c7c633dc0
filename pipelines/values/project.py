"""A project: what `[tool.turnout]` says, checked, with its paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipelines.errors import BadInput, NoSuchModel
from pipelines.values.alerts import Alerts
from pipelines.values.automation import Automation
from pipelines.values.capture import CaptureSettings
from pipelines.values.ci import CiSettings
from pipelines.values.drift import DriftSettings
from pipelines.values.gates import Gates
from pipelines.values.monitoring import Monitoring
from pipelines.values.refs import check_model_name

Parameter = bool | int | float | str
"""What a notebook parameter may be."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a new version takes over the traffic.

    Args:
        steps: Shares of the traffic in percent, rising, the last one 100.
        min_requests: Requests a step needs before the next.
        min_minutes: Minutes a step lasts at least.
        deadline_minutes: Minutes after which an undecided rollout ends.
        on_inconclusive: What happens then.
        bake_minutes: Minutes of watching after a promotion.
        holdback: Percent of the traffic the old version keeps during the bake.
        keep: Warm standbys.
        alpha_failures: How often a version that fails no more often than the stable one may be rolled back for its
            failures.
        alpha_others: The same of all other comparisons together: slow answers, wrong answers, a shift of the answers.
        alpha_promotion: How often a version that is both too bad and worse may be promoted.
        max_relative_risk: How many times as often as the stable version a candidate may fail, or be slow.
        max_failure_rate: The share of failed requests below which a candidate is good enough whatever the stable
            version does.
        max_shift: How far the answers' distribution may lie from the stable version's, as total variation.
        on_shift: What happens when it lies further off.
        latency_ms: Above how many milliseconds inside the host an answer is slow; None for the stable version's p95.
        judge: Whether the daemon ramps, promotes and rolls back by itself.
    """

    steps: tuple[int, ...] = (10, 25, 50, 100)
    min_requests: int = 50
    min_minutes: float = 2.0
    deadline_minutes: float = 60.0
    on_inconclusive: Literal["hold", "promote", "abort"] = "hold"
    bake_minutes: float = 10.0
    holdback: int = 0
    keep: int = 1
    alpha_failures: float = 0.005
    alpha_others: float = 0.005
    alpha_promotion: float = 0.05
    max_relative_risk: float = 2.0
    max_failure_rate: float = 0.01
    max_shift: float = 0.1
    on_shift: Literal["hold", "rollback"] = "hold"
    latency_ms: float | None = None
    judge: bool = True

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or not rising or self.steps[0] < 1 or self.steps[-1] != 100:
            raise BadInput(f"rollout.steps is {list(self.steps)}", instead="steps rise from at least 1 and end at 100")
        for name, low, high in (
            ("min_requests", 0, 10**9),
            ("min_minutes", 0, 10**6),
            ("deadline_minutes", 0, 10**6),
            ("bake_minutes", 0, 10**6),
            ("holdback", 0, 50),
            ("keep", 0, 20),
            ("alpha_failures", 1e-6, 0.2),
            ("alpha_others", 1e-6, 0.2),
            ("alpha_promotion", 1e-6, 0.2),
            ("max_relative_risk", 1.1, 20),
            ("max_failure_rate", 1e-5, 0.5),
            ("max_shift", 0.01, 0.9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"rollout.{name} is {value}", instead=f"it lies between {low} and {high}")
        if self.latency_ms is not None and not 0 < self.latency_ms < math.inf:
            raise BadInput(f"rollout.latency_ms is {self.latency_ms}", instead="it is a number above 0")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model of a project.

    Args:
        name: Its name.
        train: The training notebook, absolute.
        validate: The validation notebook, absolute.
        parameters: Parameters that differ from the notebook's defaults.
        inputs: Files and folders the training reads, absolute; one with wildcards stands for what it matches.
        input_commands: Shell commands whose output counts among the inputs; they run in the project's folder.
        logged_model: Which logged model counts when the notebook logs several.
        cell_timeout_minutes: The longest a cell may run.
        gates: What a version must pass.
        rollout: How it takes over.
        automation: What it does by itself.
        capture: What is kept of its requests and answers.
        drift: How it is watched for drift.
    """

    name: str
    train: Path
    validate: Path
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    validate_parameters: Mapping[str, Parameter] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    input_commands: tuple[str, ...] = ()
    logged_model: str | None = None
    cell_timeout_minutes: float = 60.0
    gates: Gates = Gates()
    rollout: Rollout = Rollout()
    automation: Automation = Automation()
    capture: CaptureSettings = CaptureSettings()
    drift: DriftSettings = DriftSettings()

    def __post_init__(self) -> None:
        check_model_name(self.name)
        if not 0 < self.cell_timeout_minutes <= 60 * 24 * 7:
            raise BadInput(
                f"cell_timeout_minutes is {self.cell_timeout_minutes}",
                instead="it lies above 0 and below a week (10080)",
            )


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a `pyproject.toml` that has a `[tool.turnout]` table.

    Args:
        root: The folder, absolute.
        port: The gateway's public port.
        models: The models by name.
        monitoring: Where it is watched.
        warm_kernels: Whether notebooks run in kernels forked from a process with their packages; None: where it helps.
        timezone: In which the schedules of its models are meant; empty for the machine's own.
        tag_promotions: Whether a promotion sets a tag in version control.
        alerts: Who is told of what.
        ci: How its pipelines differ from others.
    """

    root: Path
    port: int = 3000
    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    monitoring: Monitoring = Monitoring()
    warm_kernels: bool | None = None
    timezone: str = ""
    tag_promotions: bool = False
    alerts: Alerts = Alerts()
    ci: CiSettings = CiSettings()

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise BadInput(f"port is {self.port}", instead="a port lies between 1 and 65535")

    @property
    def state(self) -> Path:
        """Where all state lives: `.turnout/` beside the project file."""
        return self.root / ".turnout"

    @property
    def lock_file(self) -> Path | None:
        """The environment's lock, if the project has one of the usual names."""
        names = ("requirements.lock", "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "requirements.txt")
        return next((self.root / name for name in names if (self.root / name).is_file()), None)

    def model(self, name: str) -> ModelConfig:
        """The model of that name.

        Raises:
            NoSuchModel: there is none; the message names those there are.
        """
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models)) or "none yet"
            raise NoSuchModel(
                f"the project has no model {name!r}",
                instead=f"it has {known}",
                then=f"A table [tool.turnout.models.{name}] in {self.root / 'pyproject.toml'} adds one.",
            ) from None
