"""Reads `[tool.turnout]` in pyproject.toml and checks it key by key.

All mistakes are told at once, each on a line of its own: the key's path, what stands there, what is allowed, and the
nearest name where a name is not known.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import pipelines
from pipelines.errors import BadInput, BadProject
from pipelines.place import PROJECT_FILE, START, load, turnout_table
from pipelines.policy.metrics import BETTER, improves
from pipelines.project_automation import automation, check_order, check_timezone
from pipelines.project_monitoring import alerts, monitoring
from pipelines.values import (
    CaptureSettings,
    Comparison,
    Gates,
    ModelConfig,
    Parameter,
    Project,
    Rollout,
    ServingGates,
    Threshold,
    check_model_name,
)

_OWN_PACKAGES = ("pipelines", "ipext")
_VERSUS = "_vs_champion"
Number = Annotated[float, Field(allow_inf_nan=False)]

_ALPHA = "a probability from 0.000001 to 0.2, such as 0.005"


class _Table(BaseModel):
    """A table of the project file; each field's description says what is allowed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Turnout(_Table):
    port: int = Field(3000, ge=1, le=65535, description="a whole number from 1 to 65535")
    models: dict[str, Any] = Field(default={}, description="a table of models, [tool.turnout.models.NAME]")
    timezone: str = Field("", description='the name of a time zone, such as "Europe/Berlin"')
    tag_promotions: bool = Field(default=False, description="true or false")
    monitoring: dict[str, Any] = Field(default={}, description="a table of ports, [tool.turnout.monitoring]")
    warm_kernels: bool | None = Field(None, description="true or false")
    alerts: dict[str, Any] = Field(default={}, description="a table, [tool.turnout.alerts]")


class _Model(_Table):
    train: str = Field(description="the path of the training notebook, inside the project")
    validate_: str = Field(alias="validate", description="the path of the validation notebook, inside the project")
    parameters: dict[str, Any] = Field(default={}, description="a table of values for the training notebook")
    validate_parameters: dict[str, Any] = Field(default={}, description="a table of values for the validation notebook")
    inputs: list[str | dict[str, Any]] = Field(
        default=[], description='a list of paths of files and folders inside the project, or of { command = "..." }'
    )
    logged_model: str | None = Field(None, min_length=1, description="the name of one of the models the notebook logs")
    cell_timeout_minutes: Number = Field(60.0, gt=0, le=10080, description="a number above 0 and up to 10080, a week")
    schedule: str = Field("", description='a cron expression, such as "0 3 * * *"')
    after: list[str] = Field(default=[], description="a list of names of models")
    test_parameters: dict[str, Any] = Field(default={}, description="a table of values for the training notebook")
    tests: list[str] = Field(default=[], description="a list of paths of files and folders, inside the project")
    gates: dict[str, Any] = Field(default={}, description="a table of gates")
    rollout: dict[str, Any] = Field(default={}, description="a table")
    capture: dict[str, Any] = Field(default={}, description="a table")


class _Threshold(_Table):
    min: Number | None = Field(None, description="a finite number")
    max: Number | None = Field(None, description="a finite number")


class _Comparison(_Table):
    margin: Number = Field(ge=0, description="a number from 0, the loss that is still tolerated")
    confidence: Number = Field(0.95, ge=0.5, lt=1, description="a number from 0.5 to below 1, such as 0.95")
    better: Literal["higher", "lower"] | None = Field(None, description='"higher" or "lower"')


class _Serving(_Table):
    latency_p95_ms: Number | None = Field(None, gt=0, description="a number above 0, in milliseconds")
    start_seconds: Number | None = Field(None, gt=0, description="a number above 0, in seconds")
    memory_mb: Number | None = Field(None, gt=0, description="a number above 0, in megabytes")


class _Rollout(_Table):
    steps: list[int] = Field([10, 25, 50, 100], description="a list of whole numbers that rise and end at 100")
    min_requests: int = Field(50, ge=0, le=10**9, description="a whole number from 0")
    min_minutes: Number = Field(2.0, ge=0, le=10**6, description="a number from 0")
    deadline_minutes: Number = Field(60.0, ge=0, le=10**6, description="a number from 0")
    on_inconclusive: Literal["hold", "promote", "abort"] = Field("hold", description='"hold", "promote" or "abort"')
    bake_minutes: Number = Field(10.0, ge=0, le=10**6, description="a number from 0")
    holdback: int = Field(0, ge=0, le=50, description="a whole number from 0 to 50, in percent")
    keep: int = Field(1, ge=0, le=20, description="a whole number from 0 to 20")
    alpha_failures: Number = Field(0.005, ge=1e-6, le=0.2, description=_ALPHA)
    alpha_others: Number = Field(0.005, ge=1e-6, le=0.2, description=_ALPHA)
    alpha_promotion: Number = Field(0.05, ge=1e-6, le=0.2, description=_ALPHA)
    max_relative_risk: Number = Field(2.0, ge=1.1, le=20, description="a number from 1.1 to 20")
    max_failure_rate: Number = Field(0.01, ge=1e-5, le=0.5, description="a share from 0.00001 to 0.5, such as 0.01")
    max_shift: Number = Field(0.1, ge=0.01, le=0.9, description="a number from 0.01 to 0.9")
    on_shift: Literal["hold", "rollback"] = Field("hold", description='"hold" or "rollback"')
    latency_ms: Number | None = Field(None, gt=0, description="a number above 0, in milliseconds")
    judge: bool = Field(default=True, description="true or false")


class _Capture(_Table):
    rate: Number = Field(0.1, ge=0, le=1, description="a number from 0 (nothing is kept) to 1 (every request)")
    leave_out: list[str] = Field([], description="a list of names of fields")
    hash: list[str] = Field([], description="a list of names of fields")
    max_mb: Number = Field(256.0, ge=1, le=10**6, description="a number from 1 to 1000000, in megabytes")
    max_days: Number = Field(14.0, ge=0.01, le=3650, description="a number from 0.01 to 3650")


_T = TypeVar("_T", bound=BaseModel)
Key = tuple[str, ...]


def read_project(root: Path) -> Project:
    """Read the project whose folder is `root`.

    Raises:
        BadProject: the file or the folder cannot be used; the message lists everything that is wrong.
    """
    root = root.resolve()
    file = root / PROJECT_FILE
    table = turnout_table(load(file))
    if table is None:
        raise BadProject(f"{file} has no table [tool.turnout]", then=START)
    reader = _Reader(root)
    project = reader.project(table)
    problems = [*_shadows(root), *reader.problems]
    if project is None or problems:
        listed = problems[0] if len(problems) == 1 else "".join(f"\n  {problem}" for problem in problems)
        raise BadProject(f"{file}: {listed}")
    return project


class Watched:
    """A project whose file may change while a process lives on.

    Args:
        project: As it was read first.
    """

    def __init__(self, project: Project) -> None:
        self._good = project
        self._seen = self._changed()

    def now(self) -> Project:
        """The project as its file has it now; as it was last good, while the file is broken."""
        changed = self._changed()
        if changed != self._seen:
            self._seen = changed
            with suppress(BadInput):
                self._good = read_project(self._good.root)
        return self._good

    def _changed(self) -> int:
        try:
            return (self._good.root / PROJECT_FILE).stat().st_mtime_ns
        except OSError:
            return 0


class _Reader:
    """Turns tables into values, and collects what is wrong instead of stopping at the first mistake."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []

    def project(self, table: Any) -> Project | None:
        key = ("tool", "turnout")
        read = self.table(_Turnout, table, key)
        if read is None:
            return None
        models = {name: self.model(name, value, (*key, "models", name)) for name, value in read.models.items()}
        sound = {name: model for name, model in models.items() if model is not None}
        watched = monitoring(self, read.monitoring, read.port, (*key, "monitoring"))
        if len(sound) == len(models):
            check_order(self, {name: model.automation for name, model in sound.items()}, (*key, "models"))
        zone = check_timezone(self, read.timezone, (*key, "timezone"))
        told = alerts(self, read.alerts, (*key, "alerts"))
        return Project(self.root, read.port, sound, watched, read.warm_kernels, zone, read.tag_promotions, told)

    def model(self, name: str, table: Any, key: Key) -> ModelConfig | None:
        try:
            check_model_name(name)
        except BadInput as error:
            self.wrong(key, f": {error.what}; {error.instead}")
        read = self.table(_Model, table, key)
        if read is None:
            return None
        before = len(self.problems)
        train, validate = self.notebook(read.train, (*key, "train")), self.notebook(read.validate_, (*key, "validate"))
        if train is not None and train == validate:
            self.wrong(
                (*key, "validate"), f" is the training notebook too, {read.train!r}; it is a notebook of its own"
            )
        parameters = self.parameters(read.parameters, (*key, "parameters"))
        validate_parameters = self.parameters(read.validate_parameters, (*key, "validate_parameters"))
        if "model_uri" in validate_parameters:
            self.wrong((*key, "validate_parameters", "model_uri"), " is set by Turnout; leave it out")
        inputs, commands = self.inputs(read.inputs, (*key, "inputs"))
        gates = self.gates(read.gates, (*key, "gates"))
        rollout = self.rollout(read.rollout, (*key, "rollout"))
        capture = self.capture(read.capture, (*key, "capture"))
        if len(self.problems) > before or train is None or validate is None:
            return None
        if rollout is None or capture is None:
            return None
        return ModelConfig(
            name=name,
            train=train,
            validate=validate,
            parameters=parameters,
            validate_parameters=validate_parameters,
            inputs=inputs,
            input_commands=commands,
            logged_model=read.logged_model,
            cell_timeout_minutes=float(read.cell_timeout_minutes),
            gates=gates,
            rollout=rollout,
            automation=automation(self, read, key),
            capture=capture,
        )

    def inputs(self, given: list[str | dict[str, Any]], key: Key) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """The paths and the commands among the inputs."""
        paths: list[Path] = []
        commands: list[str] = []
        for each in given:
            if isinstance(each, str):
                paths += [path] if (path := self.inside(each, key)) is not None else []
            elif isinstance(said := each.get("command"), str) and said.strip() and len(each) == 1:
                commands.append(said)
            else:
                self.wrong(key, f' has {each!r}; it must be a path or {{ command = "..." }}')
        return tuple(paths), tuple(commands)

    def inside(self, path: str, key: Key) -> Path | None:
        """The absolute path, links resolved, when it lies in the project."""
        try:
            full = (self.root / path).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            self.wrong(key, f" is {path!r}, which is no usable path: {error}")
            return None
        if full.is_relative_to(self.root):
            return full
        self.wrong(key, f" is {path!r}, which lies outside the project; it must lie below {self.root}")
        return None

    def notebook(self, path: str, key: Key) -> Path | None:
        full = self.inside(path, key)
        if full is None:
            return None
        if full.suffix != ".ipynb":
            self.wrong(key, f" is {path!r}; it must be a notebook, a file ending in .ipynb")
        elif not full.is_file():
            there = [str(found.relative_to(self.root)) for found in full.parent.glob("*.ipynb")]
            said = _nearest(path, there) or (f"; there is {there[0]}" if there else "")
            self.wrong(key, f" is {path!r}, which does not exist{said}")
        else:
            return full
        return None

    def parameters(self, table: Mapping[str, Any], key: Key) -> dict[str, Parameter]:
        for name, value in table.items():
            if not name.isidentifier() or keyword.iskeyword(name):
                self.wrong((*key, name), " is no name a Python variable can have")
            elif not isinstance(value, bool | int | float | str):
                self.wrong((*key, name), f" is {_shown(value)}; it must be a number, a text, true or false")
            elif isinstance(value, float) and not math.isfinite(value):
                self.wrong((*key, name), f" is {value}; numbers must be finite")
        return dict(table)

    def gates(self, table: Mapping[str, Any], key: Key) -> Gates:
        thresholds: list[Threshold] = []
        comparisons: list[Comparison] = []
        serving = ServingGates()
        for name, value in table.items():
            here = (*key, name)
            if name == "serving":
                serving = self.serving(value, here) or serving
            elif name.endswith(_VERSUS):
                if comparison := self.comparison(name.removesuffix(_VERSUS), value, here):
                    comparisons.append(comparison)
            elif threshold := self.threshold(name, value, here):
                thresholds.append(threshold)
        return Gates(tuple(thresholds), tuple(comparisons), serving)

    def threshold(self, metric: str, value: Any, key: Key) -> Threshold | None:
        if isinstance(value, dict) and "margin" in value:
            self.wrong((*key, "margin"), f" belongs to a comparison; the gate would be called {metric}{_VERSUS}")
            return None
        before = len(self.problems)
        read = self.table(_Threshold, value, key, "{ min = 0.9 }, { max = 0.5 } or both")
        if read is None or len(self.problems) > before:
            return None
        try:
            return Threshold(metric, _float(read.min), _float(read.max))
        except BadInput as error:
            self.wrong(key, f": {error.what}; {error.instead}")
            return None

    def comparison(self, metric: str, value: Any, key: Key) -> Comparison | None:
        if not metric:
            self.wrong(key, f" names no metric; write one before {_VERSUS}")
            return None
        if isinstance(value, dict) and {"min", "max"} & set(value):
            self.wrong(key, f" takes a margin, not min or max; a bound on the metric itself is a gate called {metric}")
            return None
        read = self.table(_Comparison, value, key, "{ margin = 0.01 }")
        if read is None:
            return None
        known = BETTER.get(metric)
        if known and read.better and read.better != known:
            self.wrong((*key, "better"), f" is {read.better!r}, but {metric} is better when {known}; leave it out")
            return None
        # A column of the notebook's own says nothing about its direction, and guessing could turn a gate around.
        better = read.better or improves(metric)
        if better is None:
            said = _nearest(metric, BETTER) or f"; without it only {_listed(BETTER)} can be compared"
            self.wrong((*key, "better"), f' is missing: write "higher" or "lower" for {metric}{said}')
            return None
        return Comparison(metric, float(read.margin), float(read.confidence), better)

    def serving(self, value: Any, key: Key) -> ServingGates | None:
        read = self.table(_Serving, value, key)
        if read is None:
            return None
        return ServingGates(_float(read.latency_p95_ms), _float(read.start_seconds), _float(read.memory_mb))

    def rollout(self, value: Any, key: Key) -> Rollout | None:
        read = self.table(_Rollout, value, key)
        if read is None:
            return None
        try:
            return Rollout(**{**read.model_dump(), "steps": tuple(read.steps)})
        except BadInput as error:
            self.problems.append(f"{_path(key[:-1])}.{error.what}; {error.instead}")
            return None

    def capture(self, value: Any, key: Key) -> CaptureSettings | None:
        read = self.table(_Capture, value, key)
        if read is None:
            return None
        try:
            return CaptureSettings(
                float(read.rate), tuple(read.leave_out), tuple(read.hash), float(read.max_mb), float(read.max_days)
            )
        except BadInput as error:
            self.problems.append(f"{_path(key[:-1])}.{error.what}; {error.instead}")
            return None

    def table(self, kind: type[_T], value: Any, key: Key, example: str = "") -> _T | None:
        """The table as `kind`, or None after its mistakes have been noted."""
        if not isinstance(value, dict):
            self.wrong(key, f" is {_shown(value)}; it must be a table{f' such as {example}' if example else ''}")
            return None
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            allowed = {field.alias or name: field.description or "" for name, field in kind.model_fields.items()}
            wrong = error.errors(include_url=False, include_context=False)
            for problem in wrong:
                self.problems.append(_said(problem["type"], problem["loc"], problem["input"], key, allowed))
        # What is right is read all the same, so that the mistakes deeper down are told in the same breath.
        bad = {problem["loc"][0] for problem in wrong}
        try:
            return kind.model_validate({name: part for name, part in value.items() if name not in bad})
        except ValidationError:
            return None

    def wrong(self, key: Key, said: str) -> None:
        self.problems.append(f"{_path(key)}{said}")


def _said(kind: str, place: tuple[int | str, ...], value: Any, key: Key, allowed: Mapping[str, str]) -> str:
    name = str(place[0])
    # What pydantic appends to a name or an index (a member of a union) is none of the reader's business.
    index = "".join(f"[{part}]" for part in place[1:] if isinstance(part, int))
    path = _path((*key, name)) + index
    if kind == "extra_forbidden":
        return f"{path} is not known{_nearest(name, allowed)}; allowed here: {_listed(allowed)}"
    if kind == "missing":
        return f"{path} is missing; it must be {allowed[name]}"
    return f"{path} is {_shown(value)}; it must be {allowed[name]}"


def _shadows(root: Path) -> Iterable[str]:
    """The project's own modules that carry the name of one of Turnout's packages.

    The project's folder comes first where notebooks import from, and Turnout's packages first elsewhere: one of the
    two would take the other's place. A folder without any Python file shadows nothing.
    """
    own = Path(pipelines.__file__).resolve().parent
    for name in _OWN_PACKAGES:
        for found in (root / name, root / f"{name}.py"):
            is_code = found.is_file() if found.suffix else found.is_dir() and any(found.rglob("*.py"))
            if is_code and found.resolve() != own.with_name(name):
                kind = "module" if found.suffix else "folder"
                yield f"the {kind} {found} has the name of a package of Turnout's, {own.with_name(name)}; rename yours"


def _path(key: Iterable[str]) -> str:
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in key)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, str | list | int | float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
