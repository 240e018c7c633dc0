"""Jenkins, as a declarative pipeline."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.policy.ci.steps import REPORTS, Pipeline, Step
from pipelines.policy.ci.text import heading, indented


def render(pipeline: Pipeline) -> str:
    """The Jenkinsfile. Its workspaces are its caches: .turnout and the environment stay in them."""
    settings = pipeline.settings
    return f"""{heading("jenkins", "//")}\
pipeline {{
    agent none
    options {{
        disableConcurrentBuilds()
        timeout(time: {settings.minutes}, unit: 'MINUTES')
    }}
    stages {{
        stage('Build') {{
            agent any
            environment {{
                TURNOUT_WARM_KERNELS = '0'
            }}
            stages {{
{_stages(pipeline.build, settings.branch)}\
            }}
            post {{
                always {{
                    junit testResults: '{REPORTS}/*.xml', allowEmptyResults: true
                    archiveArtifacts artifacts: '{REPORTS}/**', allowEmptyArchive: true
                }}
            }}
        }}
        // It runs on an agent on the machine that serves: the daemon there owns the versions. Give that agent the
        // label `{settings.runner}`, and set the global variable TURNOUT_DEPLOY to `yes`.
        stage('Deploy') {{
            when {{
                beforeAgent true
                branch '{settings.branch}'
                environment name: 'TURNOUT_DEPLOY', value: 'yes'
            }}
            agent {{ label '{settings.runner}' }}
            environment {{
                // At the end of a build Jenkins kills the processes that carry its mark: what serves must stay.
                JENKINS_NODE_COOKIE = 'dontKillMe'
            }}
            stages {{
{_stages(pipeline.deploy, settings.branch)}\
            }}
            post {{
                always {{
                    archiveArtifacts artifacts: '{REPORTS}/**', allowEmptyArchive: true
                }}
            }}
        }}
    }}
}}
"""


def _stages(steps: Sequence[Step], branch: str) -> str:
    return indented("".join(_stage(step, branch) for step in steps), 16)


def _stage(step: Step, branch: str) -> str:
    condition = f"    when {{ branch '{branch}' }}\n" if step.is_for_main else ""
    return f"stage({_text(step.title)}) {{\n{condition}    steps {{ sh {_text(step.run)} }}\n}}\n"


def _text(text: str) -> str:
    """A text in single quotes, in which Groovy replaces nothing but what follows a backslash."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
