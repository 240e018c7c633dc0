"""CircleCI."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.policy.ci.steps import REPORTS, Pipeline, Step
from pipelines.policy.ci.text import heading, indented, scalar


def render(pipeline: Pipeline) -> str:
    """The configuration."""
    settings = pipeline.settings
    return f"""{heading("circleci", "#")}\
version: 2.1

parameters:
  # Whether what is built on {settings.branch} is deployed. Make it true when there is a runner for it, see below.
  deploy:
    type: boolean
    default: false

jobs:
  build:
    docker:
      - image: cimg/python:{settings.python}
    environment:
      TURNOUT_WARM_KERNELS: '0'
    steps:
      - checkout
      - restore_cache:
          keys:
            - turnout-{{{{ .Branch }}}}-
            - turnout-{settings.branch}-
{_steps(pipeline.build, settings.branch)}\
      - save_cache:
          key: turnout-{{{{ .Branch }}}}-{{{{ .Revision }}}}
          paths: [.turnout]
      - store_test_results:
          path: {REPORTS}
      - store_artifacts:
          path: {REPORTS}

  # It runs on a machine runner of your own, on the machine that serves: the daemon there owns the versions. Its
  # resource class is `{settings.runner}`; let its working directory stay the same, without being cleaned up.
  deploy:
    machine: true
    resource_class: {scalar(settings.runner)}
    steps:
      - checkout
{_steps(pipeline.deploy, settings.branch)}\
      - store_artifacts:
          path: {REPORTS}

workflows:
  build:
    unless: << pipeline.parameters.deploy >>
    jobs: [build]
  build-and-deploy:
    when: << pipeline.parameters.deploy >>
    jobs:
      - build
      - deploy:
          requires: [build]
          serial-group: << pipeline.project.slug >>/turnout-deploy
          filters:
            branches:
              only: {scalar(settings.branch)}
"""


def _steps(steps: Sequence[Step], branch: str) -> str:
    return indented("".join(_step(step, branch) for step in steps), 6)


def _step(step: Step, branch: str) -> str:
    run = f"- run:\n    name: {scalar(step.title)}\n    command: {scalar(step.run)}\n"
    if not step.is_for_main:
        return run
    condition = f"- when:\n    condition:\n      equal: [{scalar(branch)}, << pipeline.git.branch >>]\n    steps:\n"
    return condition + indented(run, 6)
