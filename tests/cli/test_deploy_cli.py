"""The verbs that change what runs: what each asks of the operator, what it shows, and how it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from pipelines.app import App
from pipelines.cli import Session, main_group, run
from pipelines.errors import BadInput, Busy, Refused, TurnoutError
from pipelines.ports import Registry
from pipelines.stages.resolve import Control
from pipelines.values import Bento, VersionRef
from pipelines.views import DeploymentView, PlanView, View
from tests.fakes import FakeCatalogue, FakeOperator, FakeReporter, running

TABLES = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
[tool.turnout.models.digits.rollout]
steps = [5, 100]
[tool.turnout.models.credit]
train = "train.ipynb"
validate = "validate.ipynb"
"""


def entry(**versions: dict[str, Any]) -> dict[str, Any]:
    """A model's entry: `entry(digits_1=running(100))`."""
    named = {name.replace("_", "@"): version for name, version in versions.items()}
    return {
        "url": "http://127.0.0.1:3000/digits",
        "phase": "canary" if len(named) > 1 else "live",
        "champion": next((ref for ref, version in named.items() if version["role"] == "champion"), None),
        "versions": named,
        "operation": None,
        "bake_until": None,
        "quarantined": {},
    }


class Line:
    """A project with packaged versions 1 to 3 of digits, an operator, and nobody or somebody to ask."""

    def __init__(self, root: Path) -> None:
        (root / "pyproject.toml").write_text(TABLES, encoding="utf-8")
        for name in ("train.ipynb", "validate.ipynb"):
            (root / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        self.root = root
        self.catalogue = FakeCatalogue()
        for number in (1, 2, 3):
            ref = VersionRef("digits", number)
            self.catalogue.put(Bento(ref, "somewhere", "0" * 64, is_passed=True))
        self.operator = FakeOperator({"digits": entry(digits_1=running(95), digits_2=running(5, "canary"))})
        self.reporter = FakeReporter()
        self.questions: list[str] = []
        self.answer: bool | None = None

    def __call__(self, *arguments: str) -> View:
        """Run one command; return its view."""
        app = App(self.root, self.reporter, self._asking(), command=self._control)
        view = main_group.main(
            list(arguments), prog_name="turnout", standalone_mode=False, obj=Session(app, lambda _: None)
        )
        assert isinstance(view, View)
        return view

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments of the only operation."""
        ((_, _, arguments),) = self.operator.asked
        return arguments

    def _asking(self) -> Callable[[str], bool] | None:
        def ask(question: str) -> bool:
            self.questions.append(question)
            return bool(self.answer)

        return None if self.answer is None else ask

    def _control(self, registry: Callable[[], Registry]) -> Control:
        def opened() -> Registry:
            raise AssertionError("the registry takes seconds and is not needed here")

        del registry
        return Control(self.operator, self.catalogue, opened)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A project."""
    return Line(tmp_path)


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


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"to": None, "reason": "", "quarantine": True}),
        (["--to", "digits@3"], {"to": "digits@3"}),
        (["--reason", "it lies"], {"reason": "it lies"}),
        (["--no-quarantine"], {"quarantine": False}),
    ],
)
def test_a_rollback_never_asks(line: Line, options: list[str], expected: dict[str, Any]) -> None:
    """It goes through at once, also where nobody could be asked."""
    line("rollback", "digits", *options)
    assert line.operator.asked[0][0] == "rollback"
    assert expected.items() <= line.asked.items()


@pytest.mark.parametrize(
    ("to", "error"),
    [("credit@1", BadInput), ("digits@9", Refused), ("digits@latest@3", BadInput), ("digits", BadInput)],
)
def test_a_rollback_to_nowhere_is_refused(line: Line, to: str, error: type[TurnoutError]) -> None:
    """Another model's version, an unpackaged one and nonsense are no goals."""
    with pytest.raises(error):
        line("rollback", "digits", "--to", to)
    assert line.operator.asked == []


BEGINNING = "2026-01-01T00:00:00+00:00"


def back(line: Line, when: str, ref: str | None, *options: str, begins: str | None = BEGINNING) -> View:
    """Roll back to a time, of which the daemon knows this."""
    line.operator.answers["live_at"] = {"ref": ref, "begins": begins}
    return line("rollback", "digits", "--to-time", when, *options)


def test_a_rollback_to_a_time_goes_to_what_was_live_then(line: Line) -> None:
    """The daemon is asked for the moment that was meant; answer and record say version, time and zone."""
    view = back(line, "2026-01-31 14:00", "digits@3", "--no-quarantine")
    question, order = line.operator.asked
    assert question[:2] == ("ask", "live_at")
    assert datetime.fromisoformat(question[2]["at"]) == datetime(2026, 1, 31, 14).astimezone()
    assert order[:2] == ("rollback", "digits")
    assert order[2]["to"] == "digits@3"
    assert order[2]["quarantine"] is False
    assert order[2]["reason"].startswith("back to digits@3, which was live at 2026-01-31 14:00:00")
    said = view.text().partition("\n")[0]
    assert said.startswith("Back to what was live at 2026-01-31 14:00:00")
    assert "local time): digits@3" in said
    assert view.json()["said"].startswith("Back to what was live")


def test_a_persons_reason_is_kept_and_a_dry_run_changes_nothing(line: Line) -> None:
    """As with every rollback."""
    view = back(line, "2h", "digits@3", "--reason", "it lies", "--dry-run")
    assert isinstance(view, PlanView)
    (_, _, order) = line.operator.asked[-1]
    assert (order["reason"], order["dry_run"]) == ("it lies", True)


@pytest.mark.parametrize(
    ("when", "ref", "begins", "error", "said"),
    [
        (
            "a while ago",
            "digits@3",
            "2026-01-01T00:00:00+00:00",
            BadInput,
            "'a while ago' is no moment.*yesterday 14:00",
        ),
        ("2999-01-01", "digits@3", BEGINNING, BadInput, "2999-01-01 00:00:00.*still to come"),
        (
            "2026-01-01",
            None,
            "2026-01-09T12:00:00+00:00",
            Refused,
            "nothing of digits was live.*first version.*2026-01-09",
        ),
        ("2026-01-10", None, "2026-01-09T12:00:00+00:00", Refused, "nothing of digits was live.*stopped"),
        ("2h", None, None, Refused, "never deployed.*turnout deploy digits@N"),
        (
            "2h",
            "digits@9",
            "2026-01-01T00:00:00+00:00",
            Refused,
            "digits@9 was live at.*pruned.*turnout versions digits",
        ),
    ],
)
def test_a_time_without_a_version_is_refused(
    line: Line, when: str, ref: str | None, begins: str | None, error: type[TurnoutError], said: str
) -> None:
    """Nonsense, the future, a time before the first version or with none, and a version that is gone."""
    with pytest.raises(error, match=said):
        back(line, when, ref, begins=begins)
    assert [asked for asked in line.operator.asked if asked[0] != "ask"] == []


def test_what_was_live_then_and_still_is_needs_nothing(line: Line) -> None:
    """Asked twice, the second time changes nothing and says so; a canary beside it is still called off."""
    assert "digits@1" in back(line, "2h", "digits@1").text()
    assert line.operator.asked[-1][0] == "rollback"
    line.operator.models["digits"] = entry(digits_1=running(100))
    line.operator.asked.clear()
    assert "is live now: nothing was changed" in back(line, "2h", "digits@1").text()
    assert isinstance(back(line, "2h", "digits@1", "--dry-run"), PlanView)
    assert {asked[0] for asked in line.operator.asked} == {"ask"}


def test_a_version_and_a_time_exclude_each_other(line: Line) -> None:
    """Nobody is asked."""
    with pytest.raises(BadInput, match="exclude each other"):
        back(line, "2h", "digits@1", "--to", "digits@3")
    assert line.operator.asked == []


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


def test_status_shows_one_model_or_all(line: Line) -> None:
    """A name narrows it; a model that never ran is empty; an unknown one is a wrong call."""
    assert set(line("status").json()["models"]) == {"digits"}
    assert set(line("status", "digits").json()["models"]) == {"digits"}
    assert line("status", "credit").json() == {"models": {}}
    with pytest.raises(BadInput, match="digist"):
        line("status", "digist")


def test_status_reads_well(line: Line) -> None:
    """The text has each version's weight, role and health, the phase and the URL; the page the same."""
    line.operator.models["digits"] |= {
        "operation": {"verb": "deploy", "ref": "digits@3", "step": 2, "steps": 4},
        "bake_until": "2026-01-02T03:04:05+00:00",
        "quarantined": {"digits@3": "it <lies>"},
    }
    text = line("status").text(width=120)
    for word in ("digits@2", "5 %", "canary", "ready", "http://127.0.0.1:3000/digits", "1 min", "step 2 of 4"):
        assert word in text
    assert "digits@3: it <lies>" in text
    page = line("status").html()
    assert "it &lt;lies&gt;" in page
    assert "<script" not in page


def test_logs_are_filtered_as_asked_and_need_no_daemon(line: Line) -> None:
    """One line a message, the latest last; times of this machine, shown in UTC."""
    write_log(line.root, "digits@2", {"time": "2026-01-01T12:00:00Z", "level": "INFO", "message": "old"})
    write_log(line.root, "digits@2", {"time": "2026-01-01T13:00:00Z", "level": "ERROR", "message": "Broken 7"})
    write_log(line.root, "daemon", {"time": "2026-01-01T12:30:00Z", "level": "WARNING", "message": "full"})
    assert line("logs", "digits@2", "-n", "1").text() == "2026-01-01 13:00:00.000Z ERROR digits@2 Broken 7"
    assert line("logs").text().splitlines() == [
        "2026-01-01 12:00:00.000Z INFO digits@2 old",
        "2026-01-01 12:30:00.000Z WARNING daemon full",
        "2026-01-01 13:00:00.000Z ERROR digits@2 Broken 7",
    ]
    assert [one["message"] for one in line("logs", "--level", "warning", "--grep", "BROKEN").json()["records"]] == [
        "Broken 7"
    ]
    assert [one["source"] for one in line("logs", "--since", "2026-01-01T12:30Z").json()["records"]] == [
        "daemon",
        "digits@2",
    ]
    assert [one["message"] for one in line("logs", "--until", "2026-01-01T12:30Z").json()["records"]] == ["old"]
    assert line("logs", "--since", "10m").text() == "Nothing was written that was asked for."
    assert line.operator.asked == []


def test_a_summary_of_the_logs_names_what_is_new(line: Line) -> None:
    """Compared with the version before."""
    write_log(line.root, "digits@1", {"message": "ready 1"})
    for number in (1, 2):
        write_log(line.root, "digits@2", {"message": f"ready {number}"})
        write_log(line.root, "digits@2", {"message": f"odd row {number}", "level": "WARNING"})
    view = line("logs", "digits@2", "--summary")
    assert view.json()["compared"] == {"digits@2": "digits@1"}
    assert [(one["template"], one["count"], one["new"]) for one in view.json()["templates"]] == [
        ("odd row <*>", 2, True),
        ("ready <*>", 2, False),
    ]
    assert "4 messages, 2 different ones. 1 new: compared were digits@2 with digits@1." in view.text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--level", "loud"], "the levels are DEBUG"),
        (["--since", "soon"], "is no moment"),
        (["--since", "1h", "--until", "2h"], "--until comes after --since"),
        (["-n", "0"], "at least 1"),
        (["-f", "--summary"], "exclude each other"),
        (["-f"], "a cell cannot follow"),
        (["nothing@1"], "no model 'nothing'"),
    ],
)
def test_a_wrong_question_to_the_logs_is_refused(line: Line, options: list[str], said: str) -> None:
    """With what would be right; a door without a terminal follows nothing."""
    with pytest.raises(BadInput, match=said):
        line("logs", *options)


def test_following_ends_with_ctrl_c_and_without_an_error(line: Line) -> None:
    """In a real process: each message is one line of JSON, also one that comes later."""
    write_log(line.root, "digits@2", {"time": "2026-01-01T12:00:00Z", "level": "INFO", "message": "old"})
    command = [sys.executable, "-m", "pipelines.cli", "logs", "digits@2", "-f", "--json"]
    with subprocess.Popen(command, cwd=line.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert json.loads(process.stdout.readline())["records"][0]["message"] == "old"
            write_log(line.root, "digits@2", {"message": "new"})
            assert json.loads(process.stdout.readline())["records"][0]["message"] == "new"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def write_log(root: Path, source: str, record: dict[str, str]) -> None:
    """Append a message to a log of the project."""
    folder = root / ".turnout" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{source}.log").open("a") as log:
        log.write(json.dumps(record) + "\n")


def test_the_history_is_a_table(line: Line) -> None:
    """With who did it; for programs it is a list."""
    line.operator.events = [
        {"model": "digits", "at": "2026-01-02T03:04:05+00:00", "actor": "anna", "action": "deploy", "to": "digits@2"}
    ]
    assert "anna" in line("history", "digits").text()
    assert line("history", "digits").json() == line.operator.events
    assert "Nothing has happened" in line("history", "credit").text()


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
