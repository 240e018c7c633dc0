"""What the doctor calls a problem, a warning and neither, at each boundary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipelines.policy.frameworks import look_at
from pipelines.policy.health import judge_machine, judge_notebook, judge_packages, judge_runtime
from pipelines.values.health import Finding, Health, MachineFacts, NotebookFacts, RuntimeFacts

MACHINE = MachineFacts((3, 11, 7), "/usr/bin/python3", "0.1.0", 50_000, 8_000, 2026, "", {"git": "/usr/bin/git"})
RUNNING = RuntimeFacts(
    daemon="0.1.0",
    turnout="0.1.0",
    guardian=True,
    gateway=True,
    hosts=1,
    stopped=False,
    live=("digits",),
    port="ours",
    journal="",
    registry="",
)
GOOD = NotebookFacts(tagged=True, imports=frozenset({"mlflow"}), flavours=("sklearn",), saves_table=True)


def by_name(findings: Any) -> dict[str, Finding]:
    """The findings, each of which has a cure just where there is something to mend."""
    found = {one.name: one for one in findings}
    assert all(bool(one.cure) == (one.health is not Health.OK) for one in found.values()), found
    return found


def test_a_sound_machine_and_runtime_need_nothing() -> None:
    """Every line is ok, and none has a cure."""
    for findings in (judge_machine(MACHINE), judge_runtime(RUNNING), judge_runtime(RuntimeFacts())):
        assert {one.health for one in by_name(findings).values()} == {Health.OK}


@pytest.mark.parametrize(
    ("change", "name", "health"),
    [
        ({"python": (3, 10, 14)}, "python", Health.PROBLEM),
        ({"python": (3, 11, 0)}, "python", Health.OK),
        ({"free_mb": 1999.0}, "disk", Health.WARNING),
        ({"free_mb": 199.0}, "disk", Health.PROBLEM),
        ({"available_mb": 999.0}, "memory", Health.WARNING),
        ({"available_mb": 249.0}, "memory", Health.PROBLEM),
        ({"year": 1970}, "clock", Health.PROBLEM),
        ({"gateway": "no binary for this system"}, "gateway program", Health.PROBLEM),
        ({"programs": {"git": None}}, "git", Health.OK),
    ],
)
def test_what_a_machine_lacks(change: dict[str, Any], name: str, health: Health) -> None:
    """One thing changed changes one line."""
    before, now = by_name(judge_machine(MACHINE)), by_name(judge_machine(replace(MACHINE, **change)))
    assert now[name].health is health
    assert {key for key in now if key not in before or now[key].health is not before[key].health} <= {name}


@pytest.mark.parametrize(
    ("change", "name", "health", "said"),
    [
        ({"daemon": ""}, "daemon", Health.PROBLEM, "does not answer"),
        ({"daemon": None}, "daemon", Health.PROBLEM, "though versions do"),
        ({"daemon": None, "hosts": 0, "gateway": False, "live": ()}, "daemon", Health.WARNING, "was not stopped"),
        ({"daemon": "0.0.9", "protocol": -1}, "daemon", Health.WARNING, "older"),
        ({"daemon": "0.0.9"}, "daemon", Health.WARNING, "0.0.9"),
        ({"daemon": "9.0", "protocol": 1}, "daemon", Health.PROBLEM, "newer"),
        ({"guardian": False}, "guardian", Health.WARNING, "does not run"),
        ({"gateway": False}, "gateway", Health.PROBLEM, "digits"),
        ({"gateway": False, "live": ()}, "gateway", Health.OK, "nothing needs it"),
        ({"port": "taken"}, "port", Health.PROBLEM, "another program"),
        ({"port": "free"}, "port", Health.OK, "free"),
        ({"stale": ("/run/a.sock",)}, "sockets", Health.WARNING, "/run/a.sock"),
        ({"unwritable": "/p cannot be written: Read-only file system"}, "state folder", Health.PROBLEM, "Read-only"),
        ({"journal": "state.db is damaged"}, "journal", Health.PROBLEM, "damaged"),
        ({"registry": "mlflow.db is damaged"}, "registry", Health.PROBLEM, "damaged"),
        ({"ahead_seconds": 4000.0}, "time of the state", Health.WARNING, "4000 s"),
    ],
)
def test_what_goes_wrong_at_run_time(change: dict[str, Any], name: str, health: Health, said: str) -> None:
    """Each state of daemon, guardian, gateway, port and files is told apart."""
    found = by_name(judge_runtime(replace(RUNNING, **change)))[name]
    assert found.health is health
    assert said in found.says


@pytest.mark.parametrize(
    ("change", "is_validation", "health"),
    [
        ({}, False, Health.OK),
        ({}, True, Health.OK),
        ({"tagged": False}, False, Health.WARNING),
        ({"tagged": False}, True, Health.PROBLEM),
        ({"broken": 3}, False, Health.PROBLEM),
        ({"flavours": ()}, False, Health.WARNING),
        ({"flavours": ()}, True, Health.OK),
        ({"saves_table": False}, True, Health.WARNING),
        ({"saves_table": False}, False, Health.OK),
    ],
)
def test_the_contract_of_the_notebooks(change: dict[str, Any], is_validation: bool, health: Health) -> None:
    """What only one of the two has to have is not asked of the other."""
    found = judge_notebook("digits", "it.ipynb", replace(GOOD, **change), is_validation=is_validation)
    assert found.health is health


def test_a_missing_package_names_the_extra_or_itself() -> None:
    """What exports the model comes with its extra, and what only the notebook imports by its own name."""
    imports = frozenset({"sklearn", "polars", "mlflow"})
    found = judge_packages("digits", ("sklearn",), imports, frozenset({"skl2onnx", "polars"}))
    assert found.health is Health.PROBLEM
    assert "turnout[sklearn]" in found.cure
    assert "polars" in found.cure
    assert judge_packages("digits", ("sklearn",), imports, frozenset({"torch"})).health is Health.OK


def cell(source: str | list[str], *tags: str, kind: str = "code") -> dict[str, Any]:
    """A cell of a notebook."""
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)} if tags else {}}


def test_a_notebook_is_read_without_being_run() -> None:
    """Imports, flavours and tags are found in cells stored either way; lines of IPython's own are no mistake."""
    facts = look_at(
        {
            "cells": [
                cell("# import nothing", kind="markdown"),
                cell(["epochs = 3\n", "rate = 0.1"], "parameters"),
                cell("%matplotlib inline\nimport numpy.linalg, mlflow\nfrom sklearn.svm import SVC\nfrom . import own"),
                cell("if True:\n    !ls\n    mlflow.sklearn.log_model(model, name='model')"),
                cell("%%bash\nthis is no Python ("),
                cell("mlflow.log_artifact(path, 'validation')"),
            ]
        }
    )
    assert facts == NotebookFacts(True, frozenset({"numpy", "mlflow", "sklearn"}), ("sklearn",), True)
    assert look_at({"cells": [cell("x = 1"), cell("x = (")]}).broken == 2
