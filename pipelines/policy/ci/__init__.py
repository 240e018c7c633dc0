"""Pipelines for continuous integration: one list of steps, written for five systems."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipelines.policy.ci import circleci, github, gitlab, jenkins, travis
from pipelines.policy.ci.steps import Pipeline, Step, pipeline_of

SYSTEMS: Mapping[str, tuple[str, Callable[[Pipeline], str]]] = {
    "github": (".github/workflows/turnout.yml", github.render),
    "gitlab": (".gitlab-ci.yml", gitlab.render),
    "jenkins": ("Jenkinsfile", jenkins.render),
    "travis": (".travis.yml", travis.render),
    "circleci": (".circleci/config.yml", circleci.render),
}
"""Where each system looks for its file, and what writes it."""

__all__ = ["SYSTEMS", "Pipeline", "Step", "pipeline_of"]
