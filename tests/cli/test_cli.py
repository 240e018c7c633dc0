"""The command line: exit codes, one JSON document, one line for an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import click
import pytest

from pipelines.app import App
from pipelines.cli import Session, Verbs, main_group, run
from pipelines.errors import BadInput, Refused
from pipelines.place import Place
from pipelines.ports import Registry
from pipelines.stages.resolve import Control
from pipelines.stages.ship import ship
from tests.fakes import FakeOperator, FakeReporter
from tests.stages.world import World

PROJECT = """
[tool.turnout.models.digits]
train = "train.ipynb"
validate = "validate.ipynb"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, which is the current one."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for name in ("train.ipynb", "validate.ipynb"):
        (tmp_path / name).write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verbs() -> list[str]:
    """All commands."""
    assert isinstance(main_group, Verbs)
    return main_group.list_commands(click.Context(main_group))


@pytest.mark.parametrize("verb", verbs())
def test_each_command_has_help_and_json(verb: str) -> None:
    """Every command explains itself in a sentence that ends with a full stop, and takes --json."""
    command = main_group.commands[verb]
    assert command.help
    assert command.help.strip().endswith(".")
    assert any("--json" in parameter.opts for parameter in command.params)


@pytest.mark.parametrize("verb", verbs())
def test_the_readme_lists_each_command(verb: str) -> None:
    """A command that the README does not know is not documented."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"| `turnout {verb}" in readme


def test_help_in_a_process_of_its_own() -> None:
    """`turnout --help`, and a bare `turnout`, print the commands and end with 0."""
    for arguments in (["--help"], []):
        command = [sys.executable, "-m", "pipelines.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "ship" in done.stdout
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["versions", "nobody"], 2, "NoSuchModel"),
        (["validate", "digits"], 2, "BadInput"),
        (["validate", "Digits@1"], 2, "BadInput"),
        (["validate", "digits@0"], 2, "BadInput"),
        (["train"], 2, "BadInput"),
        (["train", "digits", "-p", "epochs"], 2, "BadInput"),
        (["serve", "digits@1", "--port", "much"], 2, "BadInput"),
        (["versions", "digits", "--unheard-of"], 2, "BadInput"),
        (["unheard-of"], 2, "BadInput"),
        (["promote", "digits@1"], 2, "NoSuchVersion"),
    ],
)
def test_an_error_is_one_line_or_one_document(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, kind: str
) -> None:
    """stderr has one line that begins with the kind; with --json stdout has one document, and stderr nothing."""
    assert run(arguments) == code
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith(f"{kind}: ")
    assert seen.err.count("\n") == 1
    assert run([arguments[0], "--json", *arguments[1:]]) == code
    seen = capsys.readouterr()
    error = json.loads(seen.out)["error"]
    assert error["type"] == kind
    assert error["what"]
    assert seen.err == ""
    assert folder.is_dir()


def test_without_a_project_the_message_says_what_to_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without a project file is told apart from one with a wrong file, and nothing is created in it."""
    monkeypatch.chdir(tmp_path)
    assert run(["versions", "digits"]) == 2
    assert "[tool.turnout" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_version_yet_says_how_to_make_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is no error; as JSON it is an empty list."""
    assert run(["versions", "digits"]) == 0
    assert "turnout train digits" in capsys.readouterr().out
    assert run(["versions", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"model": "digits", "versions": []}
    assert folder.is_dir()


def test_a_read_only_folder_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """State that cannot be written ends in one line that names the folder, not in a traceback."""
    state = folder / ".turnout"
    # A file where the folder should be refuses the writer whoever it is, root included.
    state.write_text("in the way")
    assert run(["train", "digits"]) == 1
    seen = capsys.readouterr()
    assert "StorageFailed" in seen.err
    assert str(state) in seen.err
    assert "Traceback" not in seen.err


def session(world: World, shown: list[str]) -> Session:
    """The commands' session over a world of fakes."""
    return Session(app_of(world), lambda view: shown.append(str(view)))


def app_of(world: World, ask: Callable[[str], bool] | None = None) -> App:
    """The verbs over a world of fakes, in which nothing runs."""

    def command(registry: Callable[[], Registry]) -> Control:
        return Control(FakeOperator(), world.ports.catalogue, registry)

    app = App(world.folder, FakeReporter(), ask, lambda _: world.ports, command)
    app.__dict__["project"] = world.project
    app.__dict__["place"] = Place(world.folder, tuple(world.project.models))
    return app


def call(world: World, *arguments: str, shown: list[str] | None = None) -> object:
    """Run one command over the world; return its view."""
    obj = session(world, [] if shown is None else shown)
    return main_group.main(list(arguments), standalone_mode=False, obj=obj)


def test_the_commands_reach_their_stages(tmp_path: Path) -> None:
    """Train, validate, package, promote and versions, one after the other, over the same world."""
    world = World(tmp_path)
    assert str(call(world, "train", "digits", "-p", "epochs", "3")) == "digits@1"
    assert str(call(world, "validate", "digits@latest")) == "digits@1"
    assert str(call(world, "package", "digits@1")) == "digits@1"
    assert str(call(world, "promote", "digits@1")) == "digits@1"
    (version,) = call(world, "versions", "digits").json()["versions"]  # type: ignore[attr-defined]
    assert version["parameters"]["epochs"] == 3
    assert "champion" in version["aliases"]


def test_ship_explains_and_forces(tmp_path: Path) -> None:
    """`--explain` runs nothing and says what would; `--force` makes a version of what has not changed."""
    world = World(tmp_path)
    told = call(world, "ship", "digits", "--explain").json()  # type: ignore[attr-defined]
    assert (told["is_due"], told["ref"], world.ran()) == (True, None, [])
    assert str(call(world, "ship", "digits")) == "digits@1"
    assert call(world, "ship", "digits", "--explain").json()["is_due"] is False  # type: ignore[attr-defined]
    assert str(call(world, "ship", "digits", "--force")) == "digits@2"


def test_a_shipment_is_explained_with_its_deployment(tmp_path: Path) -> None:
    """A share is a step of its own; a dry run is the same question, and asks nothing of the daemon."""
    world = World(tmp_path)
    told = call(world, "ship", "digits", "--dry-run", "--canary", "10").json()  # type: ignore[attr-defined]
    assert [step["stage"] for step in told["steps"]] == ["train", "validate", "package", "deploy"]
    assert told["steps"][-1]["reason"] == "asked for with 10 % of the traffic"
    assert world.ran() == []
    call(world, "ship", "digits")
    told = call(world, "ship", "digits", "--explain", "--shadow").json()  # type: ignore[attr-defined]
    assert [step["outcome"] for step in told["steps"]] == ["reused", "reused", "reused", "due"]


def test_a_version_that_would_not_be_packaged_would_not_be_deployed(tmp_path: Path) -> None:
    """What its gates have stopped goes no further, whatever share is asked for."""
    world = World(tmp_path, accuracy={1: 0.5})
    call(world, "ship", "digits")
    told = call(world, "ship", "digits", "--explain", "--canary", "10").json()  # type: ignore[attr-defined]
    assert [step["stage"] for step in told["steps"]] == ["train", "validate", "package"]


def test_a_dry_promotion_by_hand_changes_nothing(tmp_path: Path) -> None:
    """Where nothing runs too: it says what would be, refuses what would be refused, and moves no alias."""
    world = World(tmp_path)
    call(world, "train", "digits")
    with pytest.raises(Refused, match="not packaged"):
        call(world, "promote", "digits@1", "--dry-run")
    call(world, "validate", "digits@1")
    call(world, "package", "digits@1")
    view = call(world, "promote", "digits@1", "--dry-run")
    assert view.json()["steps"] == ["make digits@1 the champion, by hand"]  # type: ignore[attr-defined]
    (version,) = call(world, "versions", "digits").json()["versions"]  # type: ignore[attr-defined]
    assert "champion" not in version["aliases"]
    call(world, "promote", "digits@1")
    assert call(world, "promote", "digits@1", "--dry-run").json()["steps"] == []  # type: ignore[attr-defined]


def test_the_second_of_two_that_ship_a_model_takes_what_the_first_made(tmp_path: Path) -> None:
    """A watch, or another person, ships it already: that is said and waited for, and no second version is made."""
    world = World(tmp_path)
    other = app_of(world)
    reporter = FakeReporter()

    def second() -> None:
        obj = session(world, [])
        obj.app.__dict__["_reporter"] = reporter
        main_group.main(["ship", "digits"], standalone_mode=False, obj=obj)

    late = Thread(target=second)
    with other.notes.holding("ship/digits", "a ship"):
        late.start()
        deadline = time.monotonic() + 30
        while not reporter.steps and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (world.ran(), reporter.steps) == ([], ["waiting: another ship of digits is under way already"])
        ship(world.project, "digits", {}, world.ports, FakeReporter())
    late.join(30)
    assert "nothing has changed since digits@1" in " ".join(reporter.steps)
    assert [version.ref.number for version in world.ports.registry.versions("digits")] == [1]


@pytest.mark.parametrize("name", ["digist", "../../above/digits"])
def test_a_model_that_is_none_takes_no_turn(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The lock of a shipment is named for its model: a wrong name leaves no file, neither here nor elsewhere."""
    before = set(folder.parent.rglob("*"))
    assert run(["ship", name]) == 2
    assert f"no model '{name}'" in capsys.readouterr().err
    assert set(folder.parent.rglob("*")) == before


def test_ship_and_serve_shows_the_shipment_before_it_serves(tmp_path: Path) -> None:
    """`--serve` blocks until Ctrl-C, so the report must be shown first; the served version is the shipped one."""
    world = World(tmp_path)
    shown: list[str] = []
    assert call(world, "ship", "digits", "--serve", "--port", "3123", shown=shown) is None
    assert shown == ["digits@1"]
    assert world.ports.hosts.served == [(Path("bentos/digits/1"), 3123)]  # type: ignore[attr-defined]


def test_ship_and_serve_serves_nothing_that_failed(tmp_path: Path) -> None:
    """A failed gate returns the report, with its exit code, instead of serving."""
    world = World(tmp_path, accuracy={1: 0.5})
    view = call(world, "ship", "digits", "--serve")
    assert view.ok is False  # type: ignore[attr-defined]
    assert world.ports.hosts.served == []  # type: ignore[attr-defined]


def test_force_needs_a_reason(tmp_path: Path) -> None:
    """`--force` alone is refused, and `--reason` alone forces nothing."""
    world = World(tmp_path, accuracy={1: 0.5})
    call(world, "train", "digits")
    call(world, "validate", "digits@1")
    with pytest.raises(BadInput, match="--reason"):
        call(world, "package", "digits@1", "--force")
    assert world.packager.jobs == []


def test_prune_asks_and_heeds_the_answer(tmp_path: Path) -> None:
    """With a person there the question names what would go; a no removes nothing."""
    world = World(tmp_path)
    for _ in range(3):
        call(world, "train", "digits")
    asked: list[str] = []
    obj = session(world, [])
    for answer, left in ((False, 3), (True, 1)):
        obj.app = app_of(world, lambda text, a=answer: bool(asked.append(text)) or a)
        main_group.main(["prune", "digits", "--keep", "0"], standalone_mode=False, obj=obj)
        assert len(world.ports.registry.versions("digits")) == left
    assert "digits@1, digits@2" in asked[0]


def test_ctrl_c_ends_with_130_and_no_traceback(folder: Path) -> None:
    """An interrupt in the middle of a command is one line."""
    program = (
        "import signal, os\n"
        "from pipelines import app\n"
        "app.App.versions = lambda self, model, **_: os.kill(os.getpid(), signal.SIGINT)\n"
        "from pipelines.cli import main\n"
        "main(['versions', 'digits'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr.strip().startswith("Interrupted: ")
    assert "Traceback" not in done.stderr
