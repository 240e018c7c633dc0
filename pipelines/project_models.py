"""Reads `[tool.turnout.models.NAME]`: a model's notebooks, and how its versions are made, served and watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pipelines.errors import BadInput
from pipelines.project_automation import automation
from pipelines.project_gates import read_gates
from pipelines.project_tables import Key, Number, Reader, Table, nearest, path_of
from pipelines.values import CaptureSettings, ModelConfig, Rollout, check_model_name
from pipelines.values.drift import DriftSettings

_ALPHA = "a probability from 0.000001 to 0.2, such as 0.005"


class _Model(Table):
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
    capture: bool | dict[str, Any] = Field(default={}, description="a table, or false")
    drift: bool | dict[str, Any] = Field(default={}, description="a table, or false")


class _Rollout(Table):
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


class _Capture(Table):
    rate: Number = Field(0.1, ge=0, le=1, description="a number from 0 (nothing is kept) to 1 (every request)")
    leave_out: list[str] = Field([], description="a list of names of fields")
    hash: list[str] = Field([], description="a list of names of fields")
    max_mb: Number = Field(256.0, ge=1, le=10**6, description="a number from 1 to 1000000, in megabytes")
    max_days: Number = Field(14.0, ge=0.01, le=3650, description="a number from 0.01 to 3650")


class _Drift(Table):
    window_rows: int = Field(500, ge=50, le=100_000, description="a whole number from 50 to 100000")
    min_minutes: Number = Field(1.0, ge=0, le=10080, description="a number from 0 to 10080, a week")
    alpha: Number = Field(0.01, ge=1e-6, le=0.2, description="a probability from 0.000001 to 0.2, such as 0.01")
    min_psi: Number = Field(0.1, ge=0, le=10, description="a number from 0 to 10, such as 0.1")


def read_model(reader: Reader, name: str, table: Any, key: Key) -> ModelConfig | None:
    """One model; None after its mistakes have been noted."""
    try:
        check_model_name(name)
    except BadInput as error:
        reader.wrong(key, f": {error.what}; {error.instead}")
    read = reader.table(_Model, table, key)
    if read is None:
        return None
    before = len(reader.problems)
    train = _notebook(reader, read.train, (*key, "train"))
    validate = _notebook(reader, read.validate_, (*key, "validate"))
    if train is not None and train == validate:
        reader.wrong((*key, "validate"), f" is the training notebook too, {read.train!r}; it is a notebook of its own")
    parameters = reader.parameters(read.parameters, (*key, "parameters"))
    validate_parameters = reader.parameters(read.validate_parameters, (*key, "validate_parameters"))
    if "model_uri" in validate_parameters:
        reader.wrong((*key, "validate_parameters", "model_uri"), " is set by Turnout; leave it out")
    inputs, commands = _inputs(reader, read.inputs, (*key, "inputs"))
    gates = read_gates(reader, read.gates, (*key, "gates"))
    rollout = _rollout(reader, read.rollout, (*key, "rollout"))
    capture = _capture(reader, read.capture, (*key, "capture"))
    drift = _drift(reader, read.drift, (*key, "drift"))
    if len(reader.problems) > before or train is None or validate is None:
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
        automation=automation(reader, read, key),
        capture=capture,
        drift=drift,
    )


def _inputs(reader: Reader, given: list[str | dict[str, Any]], key: Key) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The paths and the commands among the inputs."""
    paths: list[Path] = []
    commands: list[str] = []
    for each in given:
        if isinstance(each, str):
            paths += [path] if (path := reader.inside(each, key)) is not None else []
        elif isinstance(said := each.get("command"), str) and said.strip() and len(each) == 1:
            commands.append(said)
        else:
            reader.wrong(key, f' has {each!r}; it must be a path or {{ command = "..." }}')
    return tuple(paths), tuple(commands)


def _notebook(reader: Reader, path: str, key: Key) -> Path | None:
    full = reader.inside(path, key)
    if full is None:
        return None
    if full.suffix != ".ipynb":
        reader.wrong(key, f" is {path!r}; it must be a notebook, a file ending in .ipynb")
    elif not full.is_file():
        there = [str(found.relative_to(reader.root)) for found in full.parent.glob("*.ipynb")]
        said = nearest(path, there) or (f"; there is {there[0]}" if there else "")
        reader.wrong(key, f" is {path!r}, which does not exist{said}")
    else:
        return full
    return None


def _rollout(reader: Reader, value: Any, key: Key) -> Rollout | None:
    read = reader.table(_Rollout, value, key)
    if read is None:
        return None
    try:
        return Rollout(**{**read.model_dump(), "steps": tuple(read.steps)})
    except BadInput as error:
        reader.problems.append(f"{path_of(key[:-1])}.{error.what}; {error.instead}")
        return None


def _capture(reader: Reader, value: Any, key: Key) -> CaptureSettings | None:
    if isinstance(value, bool):
        return CaptureSettings() if value else CaptureSettings(rate=0.0)
    read = reader.table(_Capture, value, key)
    if read is None:
        return None
    try:
        return CaptureSettings(
            float(read.rate), tuple(read.leave_out), tuple(read.hash), float(read.max_mb), float(read.max_days)
        )
    except BadInput as error:
        reader.problems.append(f"{path_of(key[:-1])}.{error.what}; {error.instead}")
        return None


def _drift(reader: Reader, value: Any, key: Key) -> DriftSettings:
    if isinstance(value, bool):
        return DriftSettings(is_on=value)
    read = reader.table(_Drift, value, key)
    return DriftSettings(**read.model_dump()) if read is not None else DriftSettings()
