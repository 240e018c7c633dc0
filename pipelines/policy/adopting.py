"""What a notebook of one's own says of itself: its parameters, its model, and the rows that it holds out."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.policy.frameworks import framework_of, logged_flavours, look_at, plain_python, source_of

_ASKED = ("predict", "predict_proba", "score", "evaluate")
_SAID = {
    "classes": ("Classif", "Logistic", "SVC", "NB", "crossentropy", "accuracy", "roc_auc"),
    "numbers": ("Regress",),
}
_SPLIT = "train_test_split"
_HOMES = {
    "sklearn": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "keras": "tensorflow",
    "tensorflow": "tensorflow",
    "torch": "pytorch",
}
"""MLflow's flavour by the package that a notebook imports; a booster's goes before scikit-learn's."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code cell.

    Args:
        place: Its place among all cells, from 0.
        source: Its text.
        tree: Its syntax; magics are left out.
    """

    place: int
    source: str
    tree: ast.Module

    def stored(self) -> set[str]:
        """Names that it gives a value."""
        return set(_stored(self.tree))

    def loaded(self) -> set[str]:
        """Names that it reads."""
        return {node.id for node in _names(self.tree) if isinstance(node.ctx, ast.Load)}

    def calls(self, *methods: str) -> list[ast.Call]:
        """Calls of methods or functions of these names."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call) and _called(node) in methods]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a notebook.

    Args:
        tagged: Whether a cell is tagged `parameters`.
        parameters: Lines that may be parameters, by the place of their cell: each line's number there, from 0.
        fixed: Names that might be parameters, were it not for the held-out rows, which depend on them.
        flavour: MLflow's flavour of its model; `sklearn` where nothing says another.
        logged: The names of the models that it logs, in the order of the text; empty for one without a name.
        model: The variable that holds the model; `model` where none is fitted.
        is_signed: Whether each logged model has a signature or an example to infer it from.
        rows: The variable with the held-out rows, and the one with their labels; None where it splits no rows.
        cells: The places of the cells that these come of.
        kind: `classes` or `numbers`: what it predicts; empty where nothing says it.
        imports: The top-level packages it imports.
        is_elsewhere: Whether it sends its runs to a server that it names.
        has_run: Whether it begins a run: what is logged outside of one is not found again.
    """

    tagged: bool
    parameters: Mapping[int, tuple[int, ...]]
    fixed: tuple[str, ...]
    flavour: str
    logged: tuple[str, ...]
    model: str
    is_signed: bool
    rows: tuple[str, str] | None
    cells: tuple[int, ...]
    kind: str
    imports: frozenset[str]
    is_elsewhere: bool
    has_run: bool


def find(notebook: Mapping[str, Any]) -> Found:
    """Read a notebook in format 4; nothing of it is run. A cell that is no Python says nothing."""
    facts, cells = look_at(notebook), list(_cells(notebook))
    logs = [call for cell in cells for call in cell.calls("log_model")]
    logging = [call for call in logs if logged_flavours(call)]
    rows, needed = _rows(cells)
    # Who changed one of these for a training would have it learn from rows that it is judged on.
    fixed = {name for cell in cells if cell.place in needed for name in cell.loaded()}
    text = "\n".join(cell.source for cell in cells)
    flavours = list(facts.flavours) or [_HOMES[name] for name in reversed(_HOMES) if name in facts.imports]
    if "sklearn" in flavours and len(flavours) > 1 and not facts.flavours:
        flavours.remove("sklearn")
    return Found(
        tagged=facts.tagged,
        parameters={} if facts.tagged else _parameters(cells, fixed),
        fixed=tuple(sorted(fixed & set(_simple(cells)))),
        flavour=flavours[0] if flavours else "sklearn",
        logged=tuple(_name_of(call) for call in logging),
        model=_model(cells, logging),
        is_signed=all({"signature", "input_example"} & {word.arg for word in call.keywords} for call in logging),
        rows=rows,
        cells=tuple(needed),
        kind=next((kind for kind in ("classes", "numbers") if any(word in text for word in _SAID[kind])), ""),
        imports=facts.imports,
        # Who looks at the variable first leaves the choice to Turnout.
        is_elsewhere="MLFLOW_TRACKING_URI" not in text and any(cell.calls("set_tracking_uri") for cell in cells),
        has_run=any(cell.calls("start_run", "autolog") for cell in cells),
    )


def extra_of(flavour: str) -> str:
    """Turnout's extra for a flavour."""
    framework = framework_of([flavour])
    return framework.name if framework else "sklearn"


def _cells(notebook: Mapping[str, Any]) -> Iterator[Code]:
    for place, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        source = source_of(cell)
        try:
            yield Code(place, source, ast.parse(plain_python(source)))
        except (SyntaxError, ValueError):
            continue


def _parameters(cells: Sequence[Code], fixed: set[str]) -> dict[int, tuple[int, ...]]:
    """Lines `name = literal` on the top level whose name is given a value nowhere else."""
    found: dict[int, tuple[int, ...]] = {}
    for name, (place, line) in _simple(cells).items():
        if name not in fixed:
            found[place] = (*found.get(place, ()), line)
    return found


def _simple(cells: Sequence[Code]) -> dict[str, tuple[int, int]]:
    """The names that get a literal in a line of its own, and no other value: the place of the cell, and the line."""
    times = Counter(name for cell in cells for name in _stored(cell.tree))
    found: dict[str, tuple[int, int]] = {}
    for cell in cells:
        shared = Counter(line for node in cell.tree.body for line in range(node.lineno, (node.end_lineno or 0) + 1))
        for node in cell.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value, lineno=line, end_lineno=last):
                    is_alone = line == last and shared[line] == 1 and times[name] == 1
                    if is_alone and not name.startswith("_") and _is_simple(value):
                        found[name] = (cell.place, line - 1)
    return found


def _is_simple(node: ast.expr) -> bool:
    try:
        return isinstance(ast.literal_eval(node), bool | int | float | str)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def _model(cells: Sequence[Code], logs: Sequence[ast.Call]) -> str:
    for call in reversed(logs):
        if call.args and isinstance(call.args[0], ast.Name):
            return call.args[0].id
    fitted = [name for cell in cells for call in cell.calls("fit") if (name := _owner(call))]
    asked = [name for cell in cells for call in cell.calls(*_ASKED) if (name := _owner(call))]
    return next((name for name in reversed(fitted) if name in asked), fitted[-1] if fitted else "model")


def _owner(call: ast.Call) -> str:
    """The variable whose method is called; empty for another call."""
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        return call.func.value.id
    return ""


def _rows(cells: Sequence[Code]) -> tuple[tuple[str, str] | None, list[int]]:
    split = next(filter(None, (_split(cell) for cell in reversed(cells))), None)
    if split is None:
        return None, []
    learned, held_out, _, labels = split
    given = [call.args[0] for cell in cells for call in cell.calls(*_ASKED) if call.args]
    asked = [node.id for node in given if isinstance(node, ast.Name)]
    rows = next((name for name in reversed(asked) if name != learned), held_out)
    needed, places = {rows, labels}, []
    for cell in reversed(cells):
        if not needed & (cell.stored() | _changed(cell)):
            continue
        if cell.calls("log_model", "start_run"):
            return None, []
        needed |= cell.loaded()
        places.append(cell.place)
    return (rows, labels), places[::-1]


def _split(cell: Code) -> list[str] | None:
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _called(node.value) == _SPLIT:
            target = node.targets[0]
            names = (
                [one.id for one in target.elts if isinstance(one, ast.Name)] if isinstance(target, ast.Tuple) else []
            )
            # Who throws the held-out rows away has them elsewhere.
            if len(names) == 4 and "_" not in (names[1], names[3]):
                return names
    return None


def _changed(cell: Code) -> set[str]:
    """Names whose values it changes in place: by an item, by an attribute, or by fitting them."""
    changed = {_owner(call) for call in cell.calls("fit", "partial_fit", "adapt")} - {""}
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            changed |= {one.id for one in _names(node)}
        elif isinstance(node, ast.Call) and any(word.arg == "inplace" for word in node.keywords):
            changed |= {one.id for one in _names(node.func)}
    return changed


def _stored(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _name_of(call: ast.Call) -> str:
    named = next((word.value for word in call.keywords if word.arg in ("name", "artifact_path")), None)
    if named is None and len(call.args) > 1:
        named = call.args[1]
    return str(named.value) if isinstance(named, ast.Constant) else ""
