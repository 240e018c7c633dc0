"""Travis CI."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.policy.ci.steps import REPORTS, Pipeline, Step
from pipelines.policy.ci.text import heading, indented, scalar

_MAIN = '"$TRAVIS_PULL_REQUEST" = false ] && [ "$TRAVIS_BRANCH" = "{branch}"'


def render(pipeline: Pipeline) -> str:
    """The configuration. Travis lends no machine of one's own: the deployment goes to it by SSH."""
    settings = pipeline.settings
    return f"""{heading("travis", "#")}\
language: python
python: '{settings.python}'
cache:
  pip: true
  directories: [.turnout]

jobs:
  include:
    - stage: build
      env: TURNOUT_WARM_KERNELS=0
      install: skip
      script:
{_build(pipeline.build, settings.branch)}\
      # Travis keeps no files of a job: the reports are shown in its log.
      after_script:
        - cat {REPORTS}/*.md {REPORTS}/*.xml

    # It runs on the machine that serves, by SSH: the daemon there owns the versions. Set the variables TURNOUT_HOST
    # (whom to ssh to), TURNOUT_FOLDER (a clone there) and TURNOUT_DEPLOY (`yes`) of the repository.
    - stage: deploy
      if: branch = {settings.branch} AND type = push AND env(TURNOUT_DEPLOY) = yes
      install: skip
      script:
        - |
          ssh "$TURNOUT_HOST" sh -es "$TURNOUT_FOLDER" "$TRAVIS_COMMIT" <<'END'
          {{
          cd "$1"
          git fetch --quiet origin
          git checkout --quiet --detach "$2"
{_deploy(pipeline.deploy)}\
          exit
          }}
          END
"""


def _build(steps: Sequence[Step], branch: str) -> str:
    return indented("".join(f"# {step.title}\n- {scalar(_guarded(step, branch))}\n" for step in steps), 8)


def _guarded(step: Step, branch: str) -> str:
    return f"if [ {_MAIN.format(branch=branch)} ]; then {step.run}; fi" if step.is_for_main else step.run


def _deploy(steps: Sequence[Step]) -> str:
    return indented("".join(f"# {step.title}\n{step.run}\n" for step in steps), 10)
