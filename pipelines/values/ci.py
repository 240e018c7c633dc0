"""What a project says of its continuous integration."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "MODEL"
"""Stands for the name of a model in the command of the smoke test."""


@dataclass(frozen=True, slots=True)
class CiSettings:
    """The parts of a pipeline that differ from project to project.

    Args:
        install: Makes the environment; a command.
        check: Look at notebooks and code without running them; commands.
        test: Run the project's own tests; commands.
        smoke: Asks the version that was deployed last, MODEL standing for the model.
        bin: The folder that `install` puts `turnout` and `python` into; empty when they are on the path.
        branch: The branch that is deployed.
        canary: Share of the traffic that a deployed version begins with, in percent.
        runner: The label of the machine that deploys.
        python: The version of Python, for systems that install one.
        minutes: After how many minutes a job is given up.
    """

    install: str = "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt"
    check: tuple[str, ...] = (".venv/bin/ruff check .",)
    test: tuple[str, ...] = (".venv/bin/python -m pytest",)
    smoke: str = ".venv/bin/python tests/smoke.py MODEL"
    bin: str = ".venv/bin"
    branch: str = "main"
    canary: int = 10
    runner: str = "turnout"
    python: str = "3.11"
    minutes: int = 60
