"""The verbs that change what runs: what each asks of the operator, what it shows, and how it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from pipelines.cli import run
from pipelines.errors import BadInput, Busy, Refused, TurnoutError
from pipelines.local.journal import Journal
from pipelines.values import Deployment, VersionRef
from pipelines.views import DeploymentView, PlanView
from tests.cli.line import Line, entry
from tests.fakes import running


def test_deploy_leaves_the_share_to_the_rollout(line: Line) -> None:
    """Without a share the daemon takes the first step of the model's rollout, and nothing else is asked for."""
    view = line("deploy", "digits@2")
    assert line.operator.asked[0][:2] == ("deploy", "digits")
    assert line.asked["ref"] == "digits@2"
    assert line.asked["share"] is None
    assert line.asked["sticky"] is None
    assert line.asked["force"] is False
    assert isinstance(view, DeploymentView)
    assert line.reporter.steps == ["deploy digits"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--canary", "1"], {"share": 1}),
        (["--canary", "100"], {"share": 100}),
        (["--shadow"], {"share": "shadow"}),
        (["--canary", "20", "--sticky-header", "X-User"], {"sticky": {"kind": "header", "name": "x-user"}}),
        (["--canary", "20", "--sticky-cookie", "Uid"], {"sticky": {"kind": "cookie", "name": "Uid"}}),
        (["--replicas", "3"], {"replicas": 3}),
        (["--force", "--reason", "tried by hand", "--yes"], {"force": True, "reason": "tried by hand"}),
        (["--wait"], {"wait": True}),
    ],
)
def test_each_option_reaches_the_operator(line: Line, options: list[str], expected: dict[str, Any]) -> None:
    """What is typed is what is asked for."""
    line("deploy", "digits@2", *options)
    assert expected.items() <= line.asked.items()


@pytest.mark.parametrize(
    "options",
    [
        ["--canary", "0"],
        ["--canary", "101"],
        ["--canary", "-5"],
        ["--canary", "ten"],
        ["--canary", "10.5"],
        ["--canary", "10", "--shadow"],
        ["--canary", "10", "--sticky-header", "a", "--sticky-cookie", "b"],
        ["--shadow", "--sticky-header", "a"],
        ["--replicas", "0"],
        ["--force"],
        ["--force", "--reason", "  "],
    ],
)
def test_an_impossible_deploy_is_a_wrong_call(line: Line, options: list[str]) -> None:
    """Exit code 2, and the operator is never asked."""
    with pytest.raises((BadInput, click.UsageError)) as caught:
        line("deploy", "digits@2", "--yes", *options)
    assert isinstance(caught.value, click.UsageError) or caught.value.exit_code == 2
    assert line.operator.asked == []


def test_an_unpackaged_version_is_refused(line: Line) -> None:
    """The message names what is packaged and how to package it; the operator is never asked."""
    with pytest.raises(Refused, match=r"digits@9 is not packaged; packaged are digits@1, digits@2, digits@3.*package"):
        line("deploy", "digits@9")
    with pytest.raises(Refused, match="no version of the model is"):
        line("deploy", "credit@1")
    assert line.operator.asked == []


@pytest.mark.parametrize(("alias", "number"), [("latest", 3), ("champion", 1), ("previous", 2)])
def test_aliases_are_found_without_the_registry(line: Line, alias: str, number: int) -> None:
    """`latest` is the newest packaged version, the others are what runs."""
    line.operator.models["digits"] = entry(digits_1=running(100), digits_2=running(0, "standby"))
    line("deploy", f"digits@{alias}", "--canary", "100")
    assert line.asked["ref"] == f"digits@{number}"


def test_a_forced_deploy_asks(line: Line) -> None:
    """It asks a person, obeys a no, and without a person names --yes."""
    with pytest.raises(BadInput, match="--yes"):
        line("deploy", "digits@2", "--force", "--reason", "because")
    line.answer = False
    line("deploy", "digits@2", "--force", "--reason", "because")
    assert line.operator.asked == []
    line.answer = True
    line("deploy", "digits@2", "--force", "--reason", "because")
    assert line.asked["reason"] == "because"
    assert line.questions[-1] == "Deploy digits@2 by force?"


@pytest.mark.parametrize(
    "command",
    [
        ["deploy", "digits@2"],
        ["promote", "digits"],
        ["rollback", "digits"],
        ["undo", "digits"],
        ["deploy", "digits@2", "--force", "--reason", "why"],
    ],
)
def test_a_dry_run_prints_the_plan(line: Line, command: list[str]) -> None:
    """The steps come back in words, and the operator was told to change nothing."""
    view = line(*command, "--dry-run")
    assert isinstance(view, PlanView)
    assert line.asked["dry_run"] is True
    assert view.json() == {"model": "digits", "dry_run": True, "steps": ["route it", "record it"]}
    assert "route it" in view.text()


def test_a_dry_start_says_what_it_would_bring_back(line: Line) -> None:
    """From the journal: no daemon is started for it, and one that is there keeps what serves."""
    line.operator.is_silent = True
    assert line("up", "--dry-run").json() == {"dry_run": True, "models": {}}
    live = VersionRef("digits", 2)
    stopped = Deployment("digits", champion=live)
    state = line.root / ".turnout"
    state.mkdir()
    journal = Journal(state / "state.db")
    journal.finish("1", "done", datetime.now(UTC), after=stopped)
    journal.close()
    view = line("up", "--dry-run")
    assert view.json()["models"] == {"digits": ["start digits@2", "route digits: digits@2 100 %", "record it"]}
    assert "route digits" in view.text()
    assert line.reporter.steps == []


@pytest.mark.parametrize(("target", "ref"), [("digits", None), ("digits@2", "digits@2")])
def test_promote_takes_a_model_or_a_version(line: Line, target: str, ref: str | None) -> None:
    """A model alone means its candidate."""
    line("promote", target)
    assert line.operator.asked == [("promote", "digits", {"ref": ref, "wait": False, "dry_run": False})]


def test_promoting_a_model_that_runs_nothing_says_how(line: Line) -> None:
    """Without a candidate a version must be named."""
    line.operator.models.clear()
    with pytest.raises(TurnoutError, match=r"runs no candidate.*turnout deploy digits@N"):
        line("promote", "digits")


def test_down_asks_while_versions_are_live(line: Line) -> None:
    """It names them, obeys a no, and without a person names --yes."""
    with pytest.raises(BadInput, match=r"digits.*--yes"):
        line("down")
    line.answer = False
    line("down")
    assert line.operator.models
    assert line("down", "--dry-run").json() == {"stopped": ["digits"], "dry_run": True}
    assert line.operator.models
    assert line("down", "--yes").json() == {"stopped": ["digits"], "dry_run": False}
    assert line("down").json() == {"stopped": [], "dry_run": False}


@pytest.mark.parametrize("command", [["deploy", "digits@2"], ["promote", "digits"], ["rollback", "digits"]])
def test_json_is_the_models_entry(line: Line, command: list[str]) -> None:
    """Programs get the entry that `status` has for the model, read after the change."""
    said = line(*command).json()
    assert said == {"model": "digits", **line("status").json()["models"]["digits"]}
    assert sum(version["weight"] for version in said["versions"].values()) == 100


def test_errors_keep_their_exit_codes(line: Line) -> None:
    """What the operator raises is what the caller gets: busy is 3, refused is 1."""
    line.operator.failure = Busy("busy: deploy of digits@5 by PID 123 since 14:02:11, step 3 of 6")
    with pytest.raises(Busy) as caught:
        line("deploy", "digits@2")
    assert caught.value.exit_code == 3


def test_wrong_calls_end_with_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line: exit code 2, one JSON document, nothing started and nothing written."""
    Line(tmp_path)
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["deploy", "digits@2", "--canary", "101"],
        ["deploy", "digits@2", "--canary", "ten"],
        ["deploy", "digist@2"],
        ["deploy", "digits"],
        ["rollback", "digist"],
        ["rollback"],
        ["status", "digist"],
        ["undo"],
    ):
        assert run([*arguments, "--json"]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["message"]
    assert not (tmp_path / ".turnout").exists()


def test_a_watched_deploy_ends_with_its_rollout(line: Line) -> None:
    """The version that was left fails the command, the one that is the champion does not; a plan is not watched."""
    entry_now = line.operator.models["digits"]
    entry_now["quarantined"] = {"digits@2": "too many failures"}
    view = line("deploy", "digits@2", "--watch")
    assert not view.ok
    assert view.json()["reason"] == "too many failures"
    assert line("deploy", "digits@1", "--watch").ok
    assert isinstance(line("deploy", "digits@2", "--watch", "--dry-run"), PlanView)


def test_a_shadow_has_no_end_to_watch_for(line: Line) -> None:
    """It is refused before anything is asked for."""
    with pytest.raises(BadInput, match="--watch needs a share"):
        line("deploy", "digits@2", "--shadow", "--watch")
    assert line.operator.asked == []
