"""The extension in terminal IPython, where there are no widgets: text that can be read."""

from __future__ import annotations

from collections.abc import Iterator

import pexpect
import pytest

from tests.e2e.running import RunningLine, running_line
from tests.ipext.terminal import terminal, typed


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project with a champion and a canary."""
    with running_line(tmp_path_factory.mktemp("terminal") / "project") as one:
        one.deploy(1)
        one.deploy(2, 20)
        yield one


@pytest.fixture(scope="module")
def shell(line: RunningLine) -> Iterator[pexpect.spawn]:
    """IPython in its folder, with the extension loaded."""
    with terminal(line.root) as child:
        typed(child, "%load_ext ipext")
        yield child


def test_what_runs(shell: pexpect.spawn) -> None:
    """A table, with the shares as the gateway reports them; no markup."""
    said = typed(shell, "%status digits")
    assert "digits@1" in said
    assert "80 %" in said
    assert "20 %" in said
    assert "<" not in said


def test_the_live_figures(shell: pexpect.spawn) -> None:
    """One look."""
    said = typed(shell, "%monitor digits")
    assert "req/s" in said
    assert "digits@2" in said
    assert "<" not in said


def test_a_mistake_is_one_line(shell: pexpect.spawn) -> None:
    """No traceback; what there is instead."""
    said = typed(shell, "%status nobody").strip()
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert "the project has no model 'nobody'; it has credit, digits" in said


def test_a_result_is_an_object(shell: pexpect.spawn) -> None:
    """It can be passed on, and a way back is one line."""
    typed(shell, "d = %rollback digits --reason 'from a terminal'")
    assert "{'digits@1': 100}" in typed(
        shell, "print({ref: one['weight'] for ref, one in d.entry['versions'].items() if one['weight']})"
    )


def test_unloading_takes_the_magics_away(shell: pexpect.spawn) -> None:
    """Everything is as before."""
    typed(shell, "%unload_ext ipext")
    assert "not found" in typed(shell, "%status digits")
    typed(shell, "%load_ext ipext")
