"""GitLab CI/CD."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.policy.ci.steps import REPORTS, Pipeline, Step
from pipelines.policy.ci.text import heading, indented, scalar


def render(pipeline: Pipeline) -> str:
    """The pipeline."""
    settings = pipeline.settings
    # As GitLab makes $CI_COMMIT_REF_SLUG of a branch.
    slug = re.sub(r"[^a-z0-9]", "-", settings.branch.lower()).strip("-")
    return f"""{heading("gitlab", "#")}\
stages: [build, deploy]

build:
  stage: build
  image: python:{settings.python}
  timeout: {settings.minutes} minutes
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == "{settings.branch}"
  variables:
    PIP_CACHE_DIR: $CI_PROJECT_DIR/.cache/pip
    TURNOUT_WARM_KERNELS: '0'
  cache:
    key: turnout-$CI_COMMIT_REF_SLUG
    fallback_keys: [turnout-{slug}]
    paths: [.turnout/, .cache/pip/]
  script:
{_steps(pipeline.build, settings.branch)}\
  artifacts:
    when: always
    paths: [{REPORTS}/]
    reports:
      junit: {REPORTS}/*.xml

# It runs on a runner of your own, on the machine that serves, with the shell executor: the daemon there owns the
# versions. Give that runner the tag `{settings.runner}`, and set the CI/CD variable TURNOUT_DEPLOY to `yes`.
deploy:
  stage: deploy
  tags: [{scalar(settings.runner)}]
  timeout: {settings.minutes} minutes
  resource_group: turnout-deploy
  rules:
    - if: $CI_COMMIT_BRANCH == "{settings.branch}" && $TURNOUT_DEPLOY == "yes"
  variables:
    # Untracked files stay: .turnout holds the versions that serve.
    GIT_CLEAN_FLAGS: none
  script:
{_steps(pipeline.deploy, settings.branch)}\
  artifacts:
    when: always
    paths: [{REPORTS}/]
"""


def _steps(steps: Sequence[Step], branch: str) -> str:
    return indented("".join(f"# {step.title}\n- {scalar(_guarded(step, branch))}\n" for step in steps), 4)


def _guarded(step: Step, branch: str) -> str:
    return f'if [ "$CI_COMMIT_BRANCH" = "{branch}" ]; then {step.run}; fi' if step.is_for_main else step.run
