"""GitHub Actions."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.policy.ci.steps import REPORTS, Pipeline, Step
from pipelines.policy.ci.text import heading, indented, scalar


def render(pipeline: Pipeline) -> str:
    """The workflow."""
    settings = pipeline.settings
    main = f"github.event_name == 'push' && github.ref == 'refs/heads/{settings.branch}'"
    return f"""{heading("github", "#")}\
name: turnout

on:
  push:
    branches: [{scalar(settings.branch)}]
  pull_request:

permissions:
  contents: read

jobs:
  build:
    runs-on: ubuntu-latest
    timeout-minutes: {settings.minutes}
    env:
      TURNOUT_WARM_KERNELS: '0'
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-python@v6
        with:
          python-version: '{settings.python}'
          cache: pip
          cache-dependency-path: {scalar(pipeline.lock)}
      - name: Fetch the versions of earlier runs
        uses: actions/cache@v5
        with:
          path: .turnout
          key: turnout-${{{{ github.ref_name }}}}-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}
          restore-keys: |
            turnout-${{{{ github.ref_name }}}}-
            turnout-{settings.branch}-
{_steps(pipeline.build, main)}\
      - name: Show the report
        if: ${{{{ !cancelled() && hashFiles('{REPORTS}/*.md') != '' }}}}
        run: cat {REPORTS}/*.md >> "$GITHUB_STEP_SUMMARY"
      - name: Keep the reports and the executed notebooks
        if: ${{{{ !cancelled() }}}}
        uses: actions/upload-artifact@v6
        with:
          name: reports
          path: {REPORTS}/

  # It runs on a runner of your own, on the machine that serves: the daemon there owns the versions. Give that runner
  # the label `{settings.runner}`, and set the variable TURNOUT_DEPLOY of the repository to `yes`.
  deploy:
    needs: build
    if: {main} && vars.TURNOUT_DEPLOY == 'yes'
    runs-on: [self-hosted, {scalar(settings.runner)}]
    timeout-minutes: {settings.minutes}
    concurrency:
      group: turnout-deploy
      cancel-in-progress: false
    env:
      # At the end of a job a runner kills the processes that carry its mark: what serves must stay.
      RUNNER_TRACKING_ID: ''
    steps:
      - uses: actions/checkout@v5
        with:
          # Untracked files stay: .turnout holds the versions that serve.
          clean: false
{_steps(pipeline.deploy, main)}\
      - name: Keep the reports and the executed notebooks
        if: ${{{{ !cancelled() }}}}
        uses: actions/upload-artifact@v6
        with:
          name: deployment
          path: {REPORTS}/
"""


def _steps(steps: Sequence[Step], main: str) -> str:
    return "".join(_step(step, main) for step in steps)


def _step(step: Step, main: str) -> str:
    condition = f"  if: {main}\n" if step.is_for_main else ""
    return indented(f"- name: {scalar(step.title)}\n{condition}  run: {scalar(step.run)}\n", 6)
