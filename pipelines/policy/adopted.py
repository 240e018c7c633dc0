"""The files that make a model of a notebook of one's own, and what a person has to do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pipelines.policy.adopting import Found, extra_of, find
from pipelines.policy.cells import CellText, notebook, notebook_text, read_cells
from pipelines.policy.frameworks import source_of
from pipelines.policy.starting import fill, module_of
from pipelines.values.starting import Sheet

_WITH_PREDICTIONS = ("sklearn", "xgboost", "lightgbm", "tensorflow", "pytorch")
_GATES = {
    "classes": (
        "accuracy = { min = 0.5 }",
        "top_class_share = { max = 0.99 }             # no version that always says the same",
        "accuracy_vs_champion = { margin = 0.02 }     # not worse than the champion by more than that",
    ),
    "numbers": (
        "# rmse = { max = 10 }",
        "# mae_vs_champion = { margin = 1 }           # not worse than the champion by more than that",
    ),
    "": ("# accuracy = { min = 0.8 }                   # or rmse = { max = 10 } of a regression",),
}


@dataclass(frozen=True, slots=True)
class Adopted:
    """A notebook made a model.

    Args:
        sheets: The model's own files.
        table: Its tables for the project file.
        extra: Turnout's extra for its framework.
        imports: The packages that it imports.
        notes: What a person should know or do, the most pressing first.
        additions: Files, and what has to be added to the end of each.
    """

    sheets: tuple[Sheet, ...]
    table: str
    extra: str
    imports: frozenset[str]
    notes: tuple[str, ...]
    additions: tuple[tuple[str, str], ...] = ()


def adopt(
    name: str, source: str, content: Mapping[str, Any], template: Callable[[str], str], *, is_inside: bool
) -> Adopted:
    """The files of a model whose training is a notebook that is there.

    The notebook itself is never changed. Where it needs no change it is the training notebook; else a copy is, beside
    it, so that what it reads and imports is found; one from outside the project is copied to `notebooks/NAME`.

    Args:
        name: The model.
        source: The notebook's path: in the project, with `/`, or its file's name alone.
        content: The notebook in format 4.
        template: The text of one of the package's templates, by its file's name.
        is_inside: Whether it lies in the project.
    """
    found = find(content)
    folder, _, file = source.rpartition("/")
    stem = file.removesuffix(".ipynb")
    home = f"notebooks/{name}/" if not is_inside else f"{folder}/" if folder else ""
    is_copied = not is_inside or bool(found.parameters)
    train = f"{home}{stem}-train.ipynb" if is_copied else source
    validate = f"{home}{stem}-validate.ipynb"
    values = {"name": name, "source": file, "flavour": found.flavour, "train": train, "validate": validate}
    copy = with_parameters(content, found)
    sheets = [Sheet(train, notebook_text(copy))] if is_copied else []
    sheets += [
        Sheet(validate, _validation(content, found, values, template("own_validate.cells"))),
        Sheet(f"tests/test_{module_of(name)}.py", fill(template("test_own.py.txt"), values)),
    ]
    logged = [one for one in found.logged if one]
    chosen = f'logged_model = "{logged[-1]}"\n' if len(found.logged) > 1 and logged else ""
    table = fill(template("own_model.toml"), {**values, "logged": chosen, "gates": "\n".join(_GATES[found.kind])})
    notes = tuple(_notes(found, train, validate, copy if found.parameters else None, is_inside=is_inside))
    additions = () if found.logged else ((train, _addition(found)),)
    return Adopted(tuple(sheets), table, extra_of(found.flavour), found.imports, notes, additions)


def with_parameters(content: Mapping[str, Any], found: Found) -> dict[str, Any]:
    """A copy without outputs; lines that may be parameters stand in a tagged cell in front of the other code."""
    copy = deepcopy(dict(content))
    moved: list[str] = []
    for place, cell in enumerate(copy["cells"]):
        if cell["cell_type"] != "code":
            continue
        cell |= {"outputs": [], "execution_count": None}
        lines = source_of(cell).splitlines()
        taken = found.parameters.get(place, ())
        moved += [lines[number] for number in taken]
        if taken:
            rest = [line for number, line in enumerate(lines) if number not in taken]
            cell["source"] = "\n".join(rest).strip("\n").splitlines(keepends=True)
    if moved:
        (made,) = notebook([CellText("code", "\n".join(moved), ("parameters",))])["cells"]
        if (copy.get("nbformat"), copy.get("nbformat_minor", 0)) < (4, 5):
            del made["id"]
        first = next(place for place, cell in enumerate(copy["cells"]) if cell["cell_type"] == "code")
        copy["cells"] = [
            *copy["cells"][:first],
            made,
            *(cell for cell in copy["cells"][first:] if cell["cell_type"] != "code" or source_of(cell).strip()),
        ]
    return copy


def _validation(content: Mapping[str, Any], found: Found, values: Mapping[str, str], template: str) -> str:
    flavour = found.flavour if found.flavour in _WITH_PREDICTIONS else "other"
    taken = _taken(content, found)
    rows, labels = found.rows or ("", "")
    filled = {**values, "rows": rows, "labels": labels}
    cells: list[CellText] = []
    # What a cell of one's own says is taken to the letter: no name in braces is filled in there.
    for cell in read_cells(template, "rows" if found.rows else "todo", flavour):
        if cell.source == "{{cells}}":
            cells += [CellText("code", source) for source in taken]
        else:
            cells.append(CellText(cell.kind, fill(cell.source, filled), cell.tags))
    return notebook_text(notebook(cells))


def _taken(content: Mapping[str, Any], found: Found) -> list[str]:
    """The cells that the held-out rows come of; their parameters keep the values they have there."""
    cells = [source_of(content["cells"][place]).strip("\n") for place in found.cells]
    return [cell for cell in cells if cell.strip()]


def _notes(
    found: Found, train: str, validate: str, copy: Mapping[str, Any] | None, *, is_inside: bool
) -> Iterator[str]:
    if found.logged and not found.has_run:
        yield f"Put log_model in {train} below `with mlflow.start_run():`; outside of a run it is not found."
    if not found.is_signed:
        yield f"log_model in {train} has neither signature nor input_example: add one, it says what goes in and out."
    if len(found.logged) > 1 and not any(found.logged):
        yield "It logs several models without names: give each `name=` and choose one with `logged_model`."
    if found.rows is None:
        yield f"No train_test_split was found that gives rows and labels: load the held-out rows in {validate}."
    if found.fixed:
        said = "are no parameters" if len(found.fixed) > 1 else "is no parameter"
        yield f"{', '.join(found.fixed)} {said}: the held-out rows depend on it, and have to stay the same."
    if found.is_elsewhere:
        yield f"{train} calls set_tracking_uri: take it out, or Turnout does not find what it logs."
    if copy is not None:
        yield f"{train} is a copy with a cell tagged `parameters`; the notebook itself is as it was."
    elif not found.tagged:
        yield "It has no line `name = literal` that could be a parameter: every training of it is alike."
    if not is_inside:
        yield f"It came from outside the project: {train} may read files, or import modules, that do not lie beside it."


def _addition(found: Found) -> str:
    """What logs the model; one of scikit-learn's in a format that holds any estimator."""
    example = f"{found.rows[0]}[:3]" if found.rows else "..."
    kept = ', serialization_format="cloudpickle"' if found.flavour == "sklearn" else ""
    call = f'mlflow.{found.flavour}.log_model({found.model}, name="model", input_example={example}{kept})'
    return f"import mlflow\n\nwith mlflow.start_run():\n    {call}"
