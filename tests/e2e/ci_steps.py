"""The shell commands of pipelines, read back from their files as the systems would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tree_sitter_groovy
import yaml
from tree_sitter import Language, Node, Parser


@dataclass(frozen=True)
class Jobs:
    """The commands of a build on the branch that is deployed, and of the deployment after it."""

    build: list[str]
    deploy: list[str]


def commands_of(system: str, root: Path) -> Jobs:
    """What a system runs, in its order; its own actions (checkouts, caches, uploads) left out."""
    return _READERS[system](root)


def _load(path: Path) -> Any:
    # YAML 1.1, which PyYAML reads, takes the key `on` for a truth.
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _github(root: Path) -> Jobs:
    jobs = _load(root / ".github/workflows/turnout.yml")["jobs"]
    build, deploy = ([step["run"] for step in jobs[name]["steps"] if "run" in step] for name in ("build", "deploy"))
    return Jobs(build, deploy)


def _gitlab(root: Path) -> Jobs:
    found = _load(root / ".gitlab-ci.yml")
    return Jobs(found["build"]["script"], found["deploy"]["script"])


def _travis(root: Path) -> Jobs:
    build, deploy = _load(root / ".travis.yml")["jobs"]["include"]
    return Jobs([*build["script"], *build["after_script"]], deploy["script"])


def _circleci(root: Path) -> Jobs:
    def commands(steps: list[Any]) -> list[str]:
        found = []
        for step in steps:
            if isinstance(step, dict) and "run" in step:
                found.append(step["run"]["command"])
            elif isinstance(step, dict) and "when" in step:
                found += commands(step["when"]["steps"])
        return found

    jobs = _load(root / ".circleci/config.yml")["jobs"]
    return Jobs(commands(jobs["build"]["steps"]), commands(jobs["deploy"]["steps"]))


def _jenkins(root: Path) -> Jobs:
    found: dict[str, list[str]] = {"Build": [], "Deploy": []}
    job = ""
    for name, text in calls_of(parsed(root / "Jenkinsfile")):
        if name == "stage" and text in found:
            job = text
        elif name == "sh":
            found[job].append(text)
    return Jobs(found["Build"], found["Deploy"])


_READERS = {"github": _github, "gitlab": _gitlab, "travis": _travis, "circleci": _circleci, "jenkins": _jenkins}


def parsed(path: Path) -> Node:
    """A Groovy file's syntax tree."""
    return Parser(Language(tree_sitter_groovy.language())).parse(path.read_bytes()).root_node


def errors_of(node: Node) -> list[int]:
    """The lines, from 1, where a file is no Groovy."""
    own = [node.start_point.row + 1] if node.type == "ERROR" or node.is_missing else []
    return own + [line for child in node.children for line in errors_of(child)]


def calls_of(node: Node) -> list[tuple[str, str]]:
    """Calls whose first argument is a text in single quotes: their names and that text, in the order of the file."""
    source = node.text or b""
    found = []
    for literal in _literals(node):
        before = source[: literal.start_byte].decode().rstrip(" (").split()
        found.append((before[-1].rpartition("(")[2], _unescaped((literal.text or b"").decode())))
    return found


def _literals(node: Node) -> list[Node]:
    if node.type.endswith("_literal") and (node.text or b"").startswith(b"'"):
        return [node]
    return [literal for child in node.children for literal in _literals(child)]


def _unescaped(literal: str) -> str:
    return literal[1:-1].replace("\\'", "'").replace("\\\\", "\\")
