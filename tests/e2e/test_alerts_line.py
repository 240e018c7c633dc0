"""Alerts of a real daemon: through its death, from a command's process, and by `turnout alerts`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.values import Check, GateReport, Verdict, VersionRef
from tests.e2e.running import RunningLine, running_line, wait_until
from tests.local.receiver import Webhook, webhook


@pytest.fixture
def line(tmp_path: Path) -> Iterator[RunningLine]:
    """A project with two versions, of which one is live."""
    with running_line(tmp_path, versions=2) as made:
        yield made


def tell(line: RunningLine, *hooks: Webhook) -> None:
    """Name the targets in the project file."""
    project = line.root / "pyproject.toml"
    project.write_text(f"{project.read_text()}\n[tool.turnout.alerts]\nurls = {json.dumps([h.url for h in hooks])}\n")


def test_a_daemon_killed_while_it_sends_sends_again(line: RunningLine) -> None:
    """A webhook hangs and the daemon is killed: the next one delivers the same alert, by its id; no sender stays."""
    with webhook("hang", 200) as hook:
        tell(line, hook)
        line.deploy(1)
        line.deploy(2, 50)
        line.operate("rollback", reason="worse on sevens")
        wait_until(lambda: len(hook.got) == 1, "the webhook is asked")
        line.kill("daemon")
        wait_until(lambda: len(hook.got) == 2, "it is asked by the next daemon")
        wait_until(lambda: json.loads(line.turnout("alerts", "--json").out)["waiting"] == 0, "it is noted")
        assert len(set(hook.ids)) == 1
        told = json.loads(line.turnout("alerts", "--json").out)
        (alert,) = told["alerts"]
        assert (alert["event"], alert["version"], alert["targets"][0]["state"]) == ("rollback", "digits@2", "sent")
        # While the webhook hung, the versions served on.
        assert line.weights() == {"digits@1": 100}


def test_down_waits_for_no_webhook(line: RunningLine) -> None:
    """While a message hangs everything is stopped all the same, the sender with it."""
    with webhook("hang") as hook:
        tell(line, hook)
        line.deploy(1)
        line.deploy(2, 50)
        line.operate("rollback")
        wait_until(lambda: len(hook.got) == 1, "the webhook is asked")
        line.turnout("down", "--yes")
        assert line.processes("daemon") == []
        wait_until(lambda: not line.processes(), "the sender ends")


def test_a_test_says_what_came_of_it(line: RunningLine) -> None:
    """One target takes it and one refuses: both are told, the exit code says that not all is well."""
    with webhook(200) as well, webhook(403) as bad:
        tell(line, well, bad)
        done = line.turnout("alerts", "test", code=1)
    assert "sent" in done.out
    assert "failed" in done.out
    assert "403" in done.out
    assert len(well.got) == len(bad.got) == 1


def test_nobody_to_tell_is_said(line: RunningLine) -> None:
    """A list says how to change that, a test is a wrong call."""
    assert "Nobody is told" in line.turnout("alerts").out
    assert "[tool.turnout.alerts]" in line.turnout("alerts", "test", code=2).err


def test_a_failed_gate_is_told(line: RunningLine) -> None:
    """A command in a process of its own hands it over; it starts the daemon where none runs."""
    from pipelines.app import App
    from pipelines.terminal import TerminalReporter

    report = GateReport(VersionRef("digits", 2), (Check("accuracy", Verdict.FAIL, 0.8, ">= 0.9", {}),))
    with webhook(200) as hook:
        tell(line, hook)
        app = App(line.root, TerminalReporter(is_quiet=True))
        app._tell_of_gates(report)
        wait_until(lambda: len(hook.got) == 1, "the alert arrives")
        assert (hook.got[0]["event"], hook.got[0]["ref"]) == ("gate_failed", "digits@2")
        assert "accuracy: FAIL" in hook.got[0]["message"]
