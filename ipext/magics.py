"""The magics: the click commands of `pipelines.cli` behind another door."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipext.cells import Cells
from ipext.words import split, typed
from pipelines.app import App
from pipelines.cli import Session, as_turnout, main_group
from pipelines.errors import BadInput, Refused, TurnoutError
from pipelines.place import find_project

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ipext.display import Displayed
    from pipelines.ports import Reporter
    from pipelines.views import View

BACKGROUND = "--background"
"""The one option that only the magics have."""
LONG = ("train", "validate", "package", "ship", "sweep", "watch", "deploy")
"""The commands that take it."""
_HELP: Any = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Magics:
    """The line magics of one shell.

    Args:
        shell: The shell.
        connect: Opens the project around a folder; the tests put fakes behind it.
    """

    def __init__(self, shell: InteractiveShell, connect: Callable[[Path, Reporter], App] = App) -> None:
        self._shell = shell
        self._connect = connect
        self._chosen: Path | None = None
        self._first = _here()
        self._open: list[Callable[[], None]] = []
        self._cells = Cells(shell)

    @property
    def is_kernel(self) -> bool:
        """Whether a notebook's front end shows what is displayed; a terminal otherwise."""
        return hasattr(self._shell, "kernel")

    @property
    def start(self) -> Path:
        """Where the search for the project begins: what was chosen, else the notebook's folder."""
        if self._chosen is not None:
            return self._chosen
        candidates = [_here(), self._first]
        if notebook := self._shell.user_ns.get("__vsc_ipynb_file__"):
            candidates.insert(0, Path(str(notebook)).parent)
        for folder in candidates:
            try:
                return find_project(folder)
            except (TurnoutError, OSError):
                # A cell may have gone elsewhere: the folder at the start is the next best.
                continue
        return candidates[0]

    def all(self) -> dict[str, Callable[..., Any]]:
        """The magics by name: one for each command, and `%turnout`."""
        self.settle()
        made = {name: self._magic(name) for name in commands()}
        others = self._shell.magics_manager.magics["line"]
        for name in made.keys() & others.keys():
            made[name] = self._beside(name, made[name], others[name])
        return {"turnout": self._whole(), **made}

    def settle(self) -> None:
        """Have IPython load its magics of our names now: it does so late, a class at once, and over what is there."""
        find = getattr(self._shell, "_find_with_lazy_load", None)
        if find is not None:
            for name in self._shell.magics_manager.magics["line"].keys() & set(commands()):
                find("line", name)

    def app(self) -> App:
        """The project, with nobody watching."""
        from pipelines.terminal import TerminalReporter

        return self._connect(self.start, TerminalReporter(is_quiet=True))

    def displayed(self, view: View) -> Displayed:
        """A view as a cell displays it."""
        from ipext.display import Displayed

        return Displayed(view, self.app, self._cells if self.is_kernel else None)

    def open(self) -> None:
        """Hear which cells are run."""
        self._cells.enter()

    def close(self) -> None:
        """End what goes on in the background of this shell's cells."""
        self._cells.leave()
        for end in self._open:
            end()
        self._open.clear()

    def run(self, verb: str, words: Sequence[str], prog: str) -> Any:
        """Run one command.

        Args:
            verb: Its name.
            words: What stands behind it.
            prog: How its help names it.

        Raises:
            TurnoutError: as the command says. One that ended, but did not succeed, raises Refused after its report was
                displayed, so that a notebook run by CI stops there.
        """
        words = list(words)
        if BACKGROUND in words and verb in LONG:
            words.remove(BACKGROUND)
            return self._in_background(verb, words)
        is_json = "--json" in words
        with self._watching(verb, words) as reporter:
            session = Session(self._connect(self.start, reporter), self._show)
            command = main_group.commands[verb]
            try:
                view = command.main(words, prog_name=prog, standalone_mode=False, obj=session, **_HELP)
            except (TurnoutError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
                raise as_turnout(error) from None
        # Help has no view, and click's exit code.
        if view is None or isinstance(view, int):
            return None
        if not view.ok:
            self._show(view)
            raise Refused(f"{prog} {' '.join(words)}: it did not succeed", then="The report above says why.")
        return view.json() if is_json else self.displayed(view)

    def _show(self, view: View) -> None:
        from IPython.display import display

        display(self.displayed(view))

    @contextmanager
    def _watching(self, verb: str, words: Sequence[str]) -> Iterator[Reporter]:
        from pipelines.terminal import TerminalReporter

        if not self.is_kernel:
            with TerminalReporter() as reporter:
                yield reporter
            return
        from ipext.progress import LiveReporter

        title = " ".join([verb, *(word for word in words[:1] if not word.startswith("-"))])
        model = words[0].partition("@")[0] if words else ""
        with LiveReporter(title, self._expected(verb, model, words)) as live:
            yield live

    def _expected(self, verb: str, model: str, words: Sequence[str]) -> Callable[[], float | None]:
        # How long earlier deployments took says nothing of how long a rollout lasts.
        return lambda: None if "--watch" in words else self.app().expected_seconds(verb, model)

    def _in_background(self, verb: str, words: list[str]) -> Any:
        from ipext.background import Background

        # A mistake in the line is told now, not by the handle.
        command = main_group.commands[verb]
        try:
            command.make_context(f"%{verb}", list(words), **_HELP)
        except click.exceptions.Exit:
            return None
        except (TurnoutError, click.ClickException) as error:
            raise as_turnout(error) from None
        model = next((word.partition("@")[0] for word in words if not word.startswith("-")), "")
        work = Background([verb, *words], self.start, self._expected(verb, model, words))
        self._open.append(work.look_away)
        return work

    def _magic(self, verb: str) -> Callable[..., Any]:
        def magic(line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
            return self.run(verb, self._words(line, local_ns), f"%{verb}")

        return _as_magic(magic, verb, _doc(verb))

    def _beside(self, name: str, ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
        """A name that IPython has too: ours when a model is named, theirs as it was otherwise."""

        def magic(line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
            first = line.split(maxsplit=1)[:1]
            if first and (first[0].startswith(("$", "{")) or first[0].partition("@")[0] in self._models()):
                return ours(line, local_ns)
            if getattr(theirs, "needs_local_scope", False):
                return theirs(line, local_ns=local_ns)
            return theirs(self._shell.var_expand(line, depth=2))

        return _as_magic(magic, name, f"{_doc(name)}\n\nWithout a model of the project it is IPython's own %{name}.")

    def _models(self) -> tuple[str, ...]:
        try:
            return self.app().place.models
        except TurnoutError:
            return ()

    def _whole(self) -> Callable[..., Any]:
        def turnout(line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
            words = self._words(line, local_ns)
            if not words or words[0] in ("-h", "--help"):
                print(_overview())  # noqa: T201 - help is printed, as every magic's
                return None
            verb, *rest = words
            if verb == "project":
                return self._project(rest)
            if verb not in commands():
                raise _unknown(verb)
            return self.run(verb, rest, f"%turnout {verb}")

        return _as_magic(turnout, "turnout", "All of Turnout: `%turnout` lists the commands.")

    def _project(self, words: Sequence[str]) -> Path:
        """`%turnout project [PATH]`: which project is meant; the choice holds until the extension is unloaded."""
        if len(words) > 1:
            raise BadInput(f"{len(words)} paths", instead="`%turnout project PATH` takes one", then="Quote its spaces.")
        if words:
            self._chosen = find_project(Path(words[0]).expanduser())
        return find_project(self.start)

    def _words(self, line: str, local_ns: Mapping[str, Any] | None) -> list[str]:
        return typed(split(line, {**self._shell.user_ns, **(local_ns or {})}))


def commands() -> list[str]:
    """The names of the commands that are there for people."""
    return [name for name, command in main_group.commands.items() if not command.hidden]


def _as_magic(magic: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    magic.__name__ = magic.__qualname__ = name
    magic.__doc__ = doc
    # IPython's own expansion knows no quotes: `split` does it.
    magic._ipython_magic_no_var_expand = True  # type: ignore[attr-defined]
    magic.needs_local_scope = True  # type: ignore[attr-defined]
    return magic


def _doc(verb: str) -> str:
    command = main_group.commands[verb]
    with click.Context(command, info_name=f"%{verb}", **_HELP) as context:
        return command.get_help(context)


def _overview() -> str:
    shown = commands()
    width = max(map(len, shown)) + 1
    lines = [f"  %{name:<{width}} {main_group.commands[name].get_short_help_str(limit=100)}" for name in shown]
    code = [
        f"  %%{'preprocess':<{width - 1}} Take a function from a cell, to be applied before the model.",
        f"  %%{'postprocess':<{width - 1}} Take a function from a cell, to be applied after the model.",
    ]
    return "\n".join(
        [
            "Turnout: bring a model from a notebook to production and back.",
            "",
            *lines,
            *code,
            "",
            "MODEL is a name in the project file, REF a version: digits@7 or digits@champion, @previous, @latest.",
            "`-h` behind a magic shows its options; `%turnout project [PATH]` shows or changes the project.",
        ]
    )


def _unknown(verb: str) -> BadInput:
    from difflib import get_close_matches

    near = get_close_matches(verb, commands(), 1)
    return BadInput(
        f"there is no command {verb!r}",
        instead=f"the nearest is {near[0]}" if near else "",
        then="`%turnout` lists them.",
    )


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:
        # The folder is gone; what is asked of the project says so.
        return Path(os.environ.get("PWD", "/"))
