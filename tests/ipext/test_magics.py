"""The magics over a world of fakes: the same commands as the terminal's, and a mistake is one line."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ipext.completion import Completions
from ipext.extension import Extension
from ipext.magics import BACKGROUND, LONG, Magics, commands
from pipelines import errors
from pipelines.app import App
from pipelines.cli import main_group
from pipelines.errors import BadInput, Interrupted, NoSuchModel, PackageFailed, Refused, TurnoutError
from pipelines.place import Place
from pipelines.ports import Registry, Reporter
from pipelines.stages.resolve import Control
from tests.fakes import FakeOperator
from tests.ipext.shells import ROOT, make_shell
from tests.stages.world import World

PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
gates = { accuracy = { min = 0.9 } }
"""
ENTRY: dict[str, Any] = {
    "url": "http://127.0.0.1:3000/digits",
    "phase": "live",
    "champion": "digits@1",
    "candidate": None,
    "versions": {
        "digits@1": {
            "weight": 100,
            "role": "champion",
            "health": "ready",
            "age_seconds": 1.0,
            "requests": 1,
            "failures": 0,
            "replicas": 1,
            "ready": 1,
            "memory_mb": 40.0,
            "restarts": 0,
        }
    },
    "operation": None,
    "bake_until": None,
    "quarantined": {},
    "generation": 1,
}


class Fakes:
    """A project of fakes behind the magics."""

    def __init__(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text(PROJECT)
        for name in ("train.ipynb", "validate.ipynb"):
            (folder / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        self.folder = folder
        self.world = World(folder)
        told = {"alerts": {"targets": [], "waiting": 0, "alerts": []}, "alerts-test": {"targets": []}}
        self.operator = FakeOperator({"digits": ENTRY}, answers=told)

    def connect(self, start: Path, reporter: Reporter) -> App:
        """The app over the fakes."""

        def control(registry: Callable[[], Registry]) -> Control:
            return Control(self.operator, self.world.ports.catalogue, registry)

        return App(start, reporter, connect=lambda _: self.world.ports, command=control)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """In a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return Fakes(tmp_path)


@pytest.fixture
def shell(fakes: Fakes) -> InteractiveShell:
    """A shell with the magics over the fakes."""
    made = make_shell()
    for name, magic in Magics(made, fakes.connect).all().items():
        made.register_magic_function(magic, "line", name)
    return made


def run(shell: InteractiveShell, cell: str) -> Any:
    """The result of a cell; raises what it raised."""
    with capture_output() as said:
        done = shell.run_cell(cell)
    assert "Traceback" not in said.stdout + said.stderr, said.stdout
    done.raise_error()
    return done.result


def options(command: click.Command) -> set[str]:
    """Every way to write an option."""
    return {
        name for one in command.params if isinstance(one, click.Option) for name in (*one.opts, *one.secondary_opts)
    }


@pytest.mark.parametrize("verb", commands())
def test_each_command_is_a_magic_with_the_same_help(shell: InteractiveShell, verb: str) -> None:
    """The very same options, arguments and words, under the magic's name."""
    with capture_output() as said:
        shell.run_line_magic("turnout", f"{verb} -h")
    command = main_group.commands[verb]
    whole = click.Context(main_group, info_name="turnout", **main_group.context_settings)
    expected = command.get_help(click.Context(command, info_name=verb, parent=whole))
    shown = said.stdout
    assert shown.startswith(f"Usage: %turnout {verb} ")
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown)) >= options(command)
    assert shown.partition("\n")[2].strip() == expected.partition("\n")[2].strip()
    assert shell.magics_manager.magics["line"][verb].__doc__.startswith(f"Usage: %{verb} ")


def test_a_bare_turnout_lists_all(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each."""
    shell.run_line_magic("turnout", "")
    shown = capsys.readouterr().out
    assert all(re.search(rf"^  %{verb} +[A-Z].*\.$", shown, re.MULTILINE) for verb in commands())


def test_results_are_passed_on(shell: InteractiveShell) -> None:
    """What `%train` returned is a REF for the next magic; an assignment displays nothing."""
    run(shell, "v = %train digits -p epochs 2")
    assert str(shell.user_ns["v"]) == "digits@1"
    report = run(shell, "%validate {v}")
    assert "PASS" in repr(report)
    assert str(run(shell, "%package $v")) == "digits@1"
    shown = run(shell, "%versions digits")
    assert "digits@1" in shown._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("page", ["README.md", "docs/magics.md"])
def test_the_lines_of_a_page_run_as_they_stand(fakes: Fakes, shell: InteractiveShell, page: str) -> None:
    """One after the other, with the comments behind them; the version that was trained is the one that is deployed."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- run by tests/ipext/test_magics.py -->\n```python\n(.*?)```", text, re.DOTALL)
    fakes.operator.answers["live_at"] = {"ref": "digits@1", "begins": "2026-01-01T00:00:00+00:00"}
    fakes.operator.models["digits"] = {**ENTRY, "candidate": "digits@2"}
    for line in block.splitlines():
        if line != "%load_ext ipext":
            run(shell, line)
    asked = [(verb, arguments.get("ref")) for verb, _, arguments in fakes.operator.asked if verb != "ask"]
    assert asked[:2] == [("deploy", "digits@1"), ("rollback", None)]


def test_json_is_the_document(shell: InteractiveShell) -> None:
    """As the terminal prints it, as a dict."""
    assert run(shell, "%status --json")["models"]["digits"]["phase"] == "live"


def test_a_reason_stays_as_it_is(shell: InteractiveShell, fakes: Fakes) -> None:
    """With a dollar and braces between quotes, in a cell that has such names."""
    shell.user_ns["x"] = "wrong"
    run(shell, "%rollback digits --reason 'it costs $x {x} a day'")
    assert fakes.operator.asked[-1][2]["reason"] == "it costs $x {x} a day"


def test_a_cell_goes_back_to_a_time(shell: InteractiveShell, fakes: Fakes) -> None:
    """Quoted as in a terminal; the daemon is asked what was live then."""
    for line in ("%train digits", "%validate digits@1", "%package digits@1"):
        run(shell, line)
    fakes.operator.models["digits"] = {**ENTRY, "champion": "digits@2"}
    fakes.operator.answers["live_at"] = {"ref": "digits@1", "begins": None}
    shown = run(shell, "%rollback digits --to-time 'yesterday 14:00'")
    assert fakes.operator.asked[-1][2]["to"] == "digits@1"
    assert "(local time): digits@1" in repr(shown)


def test_values_of_a_function_are_found(shell: InteractiveShell, fakes: Fakes) -> None:
    """A magic inside a function sees the function's names."""
    run(
        shell,
        "def back(why):\n    return get_ipython().run_line_magic('rollback', 'digits --reason {why}')\nback('so')",
    )
    assert fakes.operator.asked[-1][2]["reason"] == "so"


def test_a_failed_gate_raises_after_its_report(
    shell: InteractiveShell, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook run by CI stops there, and its reader sees why."""
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    fakes.world.accuracy[1] = 0.1
    run(shell, "%train digits")
    with pytest.raises(Refused, match="did not succeed"):
        run(shell, "%validate digits@1")
    assert ["FAIL" in repr(one) for one in shown] == [True]


def test_a_watched_canary_that_is_rolled_back_raises_after_its_reason(
    shell: InteractiveShell, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cells after it, which count on the new version, do not run."""
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    for line in ("%train digits", "%validate digits@1", "%package digits@1"):
        run(shell, line)
    fakes.operator.models["digits"] = {**ENTRY, "champion": None, "quarantined": {"digits@1": "too many failures"}}
    with pytest.raises(Refused, match="did not succeed"):
        run(shell, "%deploy digits@1 --watch")
    assert ["digits@1 was rolled back: too many failures" in repr(one) for one in shown] == [True]


def test_a_question_is_refused_and_names_yes(shell: InteractiveShell, fakes: Fakes) -> None:
    """A kernel cannot tell whether a person is there."""
    with pytest.raises(BadInput, match="--yes"):
        run(shell, "%down")
    assert fakes.operator.models
    run(shell, "%down --yes")
    assert not fakes.operator.models


def kinds(kind: type[TurnoutError] = TurnoutError) -> list[type[TurnoutError]]:
    """All errors there are."""
    return [kind, *(found for child in kind.__subclasses__() for found in kinds(child))]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.__module__ == errors.__name__])
def test_every_error_is_one_line(shell: InteractiveShell, fakes: Fakes, kind: type[TurnoutError]) -> None:
    """And the message of the exception, for papermill."""
    raised = kind("it went wrong", instead="it should go well", then="Try again.")
    fakes.operator.failure = raised
    with capture_output() as said:
        done = shell.run_cell("%rollback digits")
    assert said.stdout.strip().splitlines() == [f"{kind.__name__}: it went wrong; it should go well. Try again."]
    assert str(done.error_in_exec) == "it went wrong; it should go well. Try again."


def test_a_message_of_several_lines_is_one_too(shell: InteractiveShell, fakes: Fakes) -> None:
    """The end of a build's log stands in one line below the cell; the exception keeps it as it was."""
    fakes.operator.failure = PackageFailed("the build ended with 1:\n  first\r\n\n  second", then="Try again.")
    with capture_output() as said:
        done = shell.run_cell("%rollback digits")
    assert said.stdout.splitlines() == ["PackageFailed: the build ended with 1: first second. Try again."]
    assert "first\r\n" in str(done.error_in_exec)


def test_the_stop_button_is_one_line(shell: InteractiveShell, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt of the work is an error of ours."""

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(fakes.operator, "operate", interrupt)
    with pytest.raises(Interrupted):
        run(shell, "%rollback digits")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%turnout dep", "no command 'dep'; the nearest is deploy"),
        ("%train nobody", "it has digits"),
        ("%train", "Missing argument 'MODEL'"),
        ("%versions digits --unheard-of", "No such option"),
        ("%validate digits", "digits"),
        ("%deploy digits@1 --canary much", "not a valid integer"),
        ("%turnout project a b", "one"),
        ("%turnout project /nowhere-at-all", "nowhere-at-all"),
        ("%train digits --background --unheard-of", "No such option"),
        ("%labels digits \0.csv", "no command can be given"),
        ("%watch \0 --once", "no command can be given"),
        ("%ship \ud800", "no command can be given"),
        ("%turnout project \0", "no command can be given"),
        ("%ship ../../above", "no model '../../above'"),
    ],
)
def test_a_wrong_line_is_told(shell: InteractiveShell, cell: str, says: str) -> None:
    """By one of our errors."""
    with pytest.raises(TurnoutError, match=re.escape(says)):
        run(shell, cell)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
# `serve` does not end; `init` writes where the line says, and has a test of its own in tests/cli/test_init.py.
@given(verb=st.sampled_from([name for name in commands() if name not in ("serve", "init")]), line=st.text(max_size=40))
def test_any_line_ends_well_or_with_one_line(shell: InteractiveShell, verb: str, line: str) -> None:
    """No text on a magic's line gives a traceback, or anything but an error of ours."""
    with capture_output(), suppress(TurnoutError):
        shell.run_line_magic("turnout", f"{verb} {line}")


def test_history_without_a_model_is_ipythons(shell: InteractiveShell, fakes: Fakes) -> None:
    """IPython has a magic of that name: it stays, and a model's name makes it ours."""
    fakes.operator.events.append(
        {
            "at": "2026-01-02T03:04:05+00:00",
            "model": "digits",
            "actor": "PID 1 (anna)",
            "action": "deploy",
            "from": "",
            "to": "digits@1",
            "reason": "",
            "evidence": {},
        }
    )
    assert "anna" in repr(run(shell, "%history digits"))
    assert run(shell, "%history -l 1") is None
    assert "anna" in repr(run(shell, "%turnout history digits"))


def test_the_project_is_the_notebooks_or_the_chosen_one(
    shell: InteractiveShell, fakes: Fakes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also after a cell went elsewhere; a choice holds."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    os.chdir(elsewhere)
    assert run(shell, "%turnout project") == fakes.folder
    other = tmp_path_factory.mktemp("other")
    (other / "pyproject.toml").write_text(PROJECT.replace("digits", "credit"))
    deep = other / "notebooks"
    deep.mkdir()
    assert run(shell, f"%turnout project {deep}") == other
    with pytest.raises(NoSuchModel, match="credit"):
        run(shell, "%promote digits")


def test_unloading_leaves_nothing() -> None:
    """Magics, matchers, attributes and threads are as before; loading twice is as good as once."""
    shell = make_shell()
    known = shell.magics_manager.magics
    for name in ("load_ext", "unload_ext", "history"):
        shell._find_with_lazy_load("line", name)
    before = {kind: dict(known[kind]) for kind in known}
    matchers, names = list(shell.Completer.custom_matchers), set(vars(shell))
    threads = threading.active_count()
    for _ in range(2):
        Extension.load(shell)
        assert set(commands()) <= known["line"].keys()
        assert {"preprocess", "postprocess"} <= known["cell"].keys()
        assert len(shell.Completer.custom_matchers) == len(matchers) + 1
    Extension.unload(shell)
    Extension.unload(shell)
    assert {kind: dict(known[kind]) for kind in known} == before
    assert shell.Completer.custom_matchers == matchers
    assert set(vars(shell)) == names
    assert threading.active_count() == threads


def test_a_magic_loaded_later_stays() -> None:
    """Unloading takes ours away, not what another extension has put in their place."""
    shell = make_shell()
    Extension.load(shell)

    def status(line: str) -> str:
        return line

    shell.register_magic_function(status, "line", "status")
    Extension.unload(shell)
    assert shell.run_line_magic("status", "theirs") == "theirs"


def test_loading_imports_nothing_heavy() -> None:
    """By name: what takes seconds, and what takes tenths of one."""
    program = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance();"
        "before = set(sys.modules); import ipext; ipext.load_ipython_extension(s);"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {
        "mlflow",
        "papermill",
        "bentoml",
        "tensorflow",
        "numpy",
        "pandas",
        "pydantic",
        "rich",
        "ipywidgets",
        "scipy",
    }
    assert not loaded & heavy


class TestCompletion:
    """What the Tab key offers."""

    @pytest.fixture
    def at(self, shell: InteractiveShell, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
        """The words at the end of a text."""
        monkeypatch.setattr(App, "version_numbers", lambda _, model: [12, 3] if model == "digits" else [])
        completions = Completions(Magics(shell, fakes.connect))

        def found(text: str) -> list[str]:
            said = completions.at(text)
            return [] if said is None else said[1]

        return found

    def test_commands(self, at: Callable[[str], list[str]]) -> None:
        """Behind `%turnout`."""
        assert at("%turnout pro") == ["promote", "project"]
        assert at("%turnout rollback --no") == ["--no-quarantine"]

    @pytest.mark.parametrize("verb", commands())
    def test_options(self, at: Callable[[str], list[str]], verb: str) -> None:
        """All that the command has."""
        offered = set(at(f"%{verb} -"))
        assert offered >= options(main_group.commands[verb])
        assert (BACKGROUND in offered) == (verb in LONG)

    def test_models_and_versions(self, at: Callable[[str], list[str]]) -> None:
        """Where the command expects them, behind other words too."""
        assert at("%train d") == ["digits"]
        assert at("%ship digits d") == ["digits"]
        assert at("d = %deploy di") == ["digits@"]
        assert at("%deploy digits@") == ["digits@champion", "digits@previous", "digits@latest", "digits@12", "digits@3"]
        assert at("%deploy --canary 10 digits@1") == ["digits@12"]
        assert at("%rollback digits --to digits@3") == ["digits@3"]
        assert at("%diff digits@3 digits@1") == ["digits@12"]
        assert at("%promote digits@c") == ["digits@champion"]
        assert at("%%preprocess d") == ["digits"]
        assert at("%rollback digits --reason d") == []

    def test_elsewhere_it_keeps_quiet(self, shell: InteractiveShell, fakes: Fakes) -> None:
        """A line that is none of ours, or another's magic, is left to the others."""
        completions = Completions(Magics(shell, fakes.connect))
        for text in ("x = 1", "print(", "%timeit dig", "# 5 %deploys ", ""):
            assert completions.at(text) is None

    def test_without_a_project_nothing_is_offered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And nothing is raised."""
        monkeypatch.chdir(tmp_path)
        completions = Completions(Magics(make_shell()))
        assert completions.at("%train ") == ("", [])
        assert completions.at("%deploy digits@1") == ("digits@1", [])


def test_the_place_is_what_the_magic_reads(fakes: Fakes) -> None:
    """The fakes' project is a real one on disk: what completes and what runs see the same."""
    assert Place.of(fakes.folder).models == ("digits",)
    assert inspect.signature(App).parameters.keys() >= {"start", "reporter"}


def test_a_report_by_itself_is_its_table() -> None:
    """Not the fields of a dataclass; after the extension is unloaded it is what it was."""
    from pipelines.values import Check, GateReport, Verdict, VersionRef

    shell = make_shell()
    check = Check("accuracy", Verdict.PASS, 0.97, ">= 0.9")
    report = GateReport(VersionRef("digits", 1), (check,))
    assert shell.display_formatter is not None
    before = shell.display_formatter.format(report)[0]
    Extension.load(shell)
    shown = shell.display_formatter.format(report)[0]
    assert "<table" in shown["text/html"]
    assert "GateReport(" not in shown["text/plain"]
    assert "accuracy" in shown["text/plain"]
    Extension.unload(shell)
    assert shell.display_formatter.format(report)[0] == before
