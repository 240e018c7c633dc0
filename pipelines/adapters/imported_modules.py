"""Which of a project's own modules a notebook imports, found by reading and never by running.

`import` statements count wherever they stand, also those of the modules found, and so do `importlib.import_module`,
`__import__` and `%run` with a literal name. A computed one is not seen: what it leads to belongs into `inputs`.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.adapters.cell_code import code_cells, run_files, tree, trees

_INSTALLED = {"site-packages", "dist-packages"}
_LOADERS = {"import_module", "__import__"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import, as written.

    Args:
        module: The dotted name; empty in `from . import x`.
        names: What is taken out of it: each may be a module of its own.
        level: How many packages up a relative one begins; 0 for an absolute one.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0


def imports(parsed: ast.AST) -> Iterator[Import]:
    """All imports in a syntax tree, also inside functions and conditions."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.module or "", tuple(alias.name for alias in node.names), node.level)
        elif isinstance(node, ast.Call) and (name := _literal_name(node)) is not None:
            yield Import(name)


def project_modules(notebook: Path, root: Path, search: Sequence[str] | None = None) -> list[Path]:
    """The files below `root` that the notebook's cells import, directly or through one another, sorted.

    They are searched in the order in which a kernel does: the notebook's folder, what the cells put into `sys.path`,
    then `search` as far as it lies in the project, then the project's folder and its `src`.

    Args:
        notebook: The notebook.
        root: The project's folder.
        search: Where Python imports from, this process's `sys.path` unless given.
    """
    cells = code_cells(notebook)
    parsed = list(trees(cells))
    root = root.resolve()
    return _Search(root, notebook.resolve().parent, search if search is not None else sys.path).follow(cells, parsed)


class _Search:
    def __init__(self, root: Path, home: Path, search: Sequence[str]) -> None:
        self.root = root
        self.home = home
        self.places = [place for entry in search if entry and (place := _own(Path(entry), root)) is not None]
        self.found: set[Path] = set()
        self.waiting: list[Path] = []

    def follow(self, cells: Sequence[str], parsed: Sequence[ast.Module]) -> list[Path]:
        self.added = [place for each in parsed for place in self._added_places(each)]
        self.near = _distinct([self.home, *self.added])
        self.far = [
            place for place in _distinct([*self.places, self.root, self.root / "src"]) if place not in self.near
        ]
        for each in parsed:
            self._take(each, None)
        for name in run_files(cells):
            file = self.home / name
            self._add(file if file.suffix else file.with_suffix(".py"))
        while self.waiting:
            file = self.waiting.pop()
            if file.suffix == ".ipynb":
                for each in trees(code_cells(file)):
                    self._take(each, None)
            else:
                self._take(tree(_text(file)), file)
        return sorted(self.found)

    def _take(self, parsed: ast.Module, file: Path | None) -> None:
        for each in imports(parsed):
            if each.level:
                if file is not None:
                    base = file.parents[each.level - 1] if each.level <= len(file.parents) else file.parent
                    self._resolve(base, each.module.split(".") if each.module else [], each.names)
                continue
            parts = each.module.split(".")
            # A kernel has the standard library first, and then the notebook's folder.
            is_standard = parts[0] in sys.stdlib_module_names
            places = self.added if is_standard else [*self.near, *self.far]
            place = next((place for place in places if _is_there(place, parts[0])), None)
            if place is not None:
                self._resolve(place, parts, each.names)

    def _resolve(self, base: Path, parts: Sequence[str], names: Sequence[str]) -> None:
        """Add the files that importing a dotted name below `base` runs."""
        folder = base
        for number, part in enumerate(parts):
            if not (folder / part).is_dir():
                self._add((folder / part).with_suffix(".py"))
                return
            folder = folder / part
            self._add(folder / "__init__.py")
            if number == len(parts) - 1 and not (folder / "__init__.py").is_file():
                self._add(folder.with_suffix(".py"))
        if not parts:
            self._add(folder / "__init__.py")
        for name in names:
            if name == "*":
                for file in sorted(folder.glob("*.py")):
                    self._add(file)
            elif (folder / name).is_dir():
                self._add(folder / name / "__init__.py")
            else:
                self._add(folder / f"{name}.py")

    def _add(self, file: Path) -> None:
        try:
            real = file.resolve()
            is_own = real.is_relative_to(self.root) and not _INSTALLED & set(real.parts) and real.is_file()
        except (OSError, RuntimeError):
            return
        if is_own and real not in self.found:
            self.found.add(real)
            self.waiting.append(real)

    def _added_places(self, parsed: ast.Module) -> Iterator[Path]:
        """What `sys.path.insert(0, "../lib")` and `sys.path.append("../lib")` name."""
        for node in ast.walk(parsed):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in ("insert", "append") and ast.unparse(node.func.value) == "sys.path" and node.args:
                texts = [leaf.value for leaf in ast.walk(node.args[-1]) if isinstance(leaf, ast.Constant)]
                for text in texts:
                    if isinstance(text, str) and (place := _own(self.home / text, self.root)) is not None:
                        yield place


def _literal_name(call: ast.Call) -> str | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if name in _LOADERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value if first.value and not first.value.startswith(".") else None
    return None


def _is_there(place: Path, name: str) -> bool:
    return (place / f"{name}.py").is_file() or (place / name).is_dir()


def _own(place: Path, root: Path) -> Path | None:
    """The folder, when it is one of the project's own."""
    real = Path(os.path.normpath(place if place.is_absolute() else Path.cwd() / place)).resolve()
    return real if real.is_relative_to(root) and not _INSTALLED & set(real.parts) else None


def _distinct(places: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(places))


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")
