"""A notebook of one's own, read without being run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest

import pipelines
from pipelines.policy.adopted import adopt, with_parameters
from pipelines.policy.adopting import find
from pipelines.policy.cells import CellText, notebook
from pipelines.policy.frameworks import look_at, source_of

TEMPLATES = Path(pipelines.__file__).parent / "templates"
SPLIT = "X_train, X_test, y_train, y_test = train_test_split(x, y, test_size=share, random_state=1)"
LOG = 'with mlflow.start_run():\n    mlflow.sklearn.log_model(clf, name="model", input_example=X_train[:3])'


def written(*cells: str, tagged: str = "") -> dict[str, Any]:
    """A notebook of these code cells, the one of parameters in front."""
    tag = [CellText("code", tagged, ("parameters",))] if tagged else []
    return notebook([CellText("markdown", "# Mine"), *tag, *(CellText("code", cell) for cell in cells)])


def adopted(content: dict[str, Any], source: str = "work/mine.ipynb", *, is_inside: bool = True) -> Any:
    """The model that comes of it."""
    return adopt("mine", source, content, lambda name: (TEMPLATES / name).read_text(), is_inside=is_inside)


def code(content: Any) -> list[str]:
    """The texts of its code cells."""
    return [source_of(cell) for cell in content["cells"] if cell["cell_type"] == "code"]


def test_simple_lines_become_the_cell_of_parameters() -> None:
    """With their comments, in front of all code; the line is gone where it stood, and outputs are not copied."""
    content = written("import a\ndepth = 3  # enough\nx = a.load()", "rate = 0.1", "a.fit(x, depth, rate)")
    content["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    copy = with_parameters(content, find(content))
    assert code(copy) == ["depth = 3  # enough\nrate = 0.1", "import a\nx = a.load()", "a.fit(x, depth, rate)"]
    assert look_at(copy).tagged
    nbformat.validate(nbformat.from_dict(copy))
    assert not any(cell.get("outputs") for cell in copy["cells"])
    # The notebook itself is as it was.
    assert content["cells"][1]["outputs"]
    assert "depth" in code(content)[0]


@pytest.mark.parametrize(
    "line",
    [
        "n = 3; m = load()",
        "n = 3\nn += 1",
        "for n in range(3):\n    pass\nn = 3",
        "n = [1, 2]",
        "n = other",
        "_n = 3",
        "if True:\n    n = 3",
        "n = (\n    3\n)",
        "def f():\n    n = 3\nn = 4",
        "%time n = 3",
        "this is no python",
    ],
)
def test_what_moving_might_change_is_left_alone(line: str) -> None:
    """Names with a second value, several statements in a line, what is no plain value, and what is no Python."""
    assert find(written(line)).parameters == {}


def test_what_the_held_out_rows_depend_on_is_no_parameter() -> None:
    """A training with another share would learn from rows that it is judged on: it is said, and stays."""
    content = written("share = 0.3\ndepth = 4", "x, y = load()", SPLIT, "clf = Tree(depth).fit(X_train, y_train)")
    found = find(content)
    assert found.fixed == ("share",)
    assert code(with_parameters(content, found))[0] == "depth = 4"
    assert any("share is no parameter" in note for note in adopted(content).notes)


def test_the_cells_of_the_held_out_rows_are_taken_and_no_others() -> None:
    """What they come of, also in place and through what was fitted; neither the training nor plots."""
    cells = [
        "import numpy as np",
        "x, y = load()",
        "share = 0.3",
        "x['new'] = np.log(x['old'])",
        "plot(x)",
        SPLIT,
        "scaler = Scaler()\nscaler.fit(X_train)",
        "X_scaled = scaler.transform(X_test)",
        "clf = Tree().fit(scaler.transform(X_train), y_train)",
        "clf.score(X_scaled, y_test)",
    ]
    found = find(written(*cells))
    assert found.rows == ("X_scaled", "y_test")
    # The heading is the first cell.
    assert [place - 1 for place in found.cells] == [0, 1, 2, 3, 5, 6, 7]


def test_without_a_split_or_with_a_model_logged_among_its_cells_the_rows_are_left_to_the_person() -> None:
    """The validation notebook has the place for them, and the note names the file."""
    thrown_away = "a, _, b, _ = train_test_split(x, y)\nm.fit(a, b)\nm.predict(c)"
    for cells in (["x, y = load()"], [f"x, y = load()\n{SPLIT}\n{LOG}"], [thrown_away]):
        made = adopted(written(*cells))
        (validate,) = (sheet for sheet in made.sheets if sheet.path == "work/mine-validate.ipynb")
        assert "load the held-out rows and their labels here" in validate.text
        assert any("work/mine-validate.ipynb" in note for note in made.notes)


@pytest.mark.parametrize(
    ("imports", "flavour", "extra"),
    [
        ("from sklearn.tree import DecisionTreeClassifier", "sklearn", "sklearn"),
        ("import sklearn\nfrom xgboost import XGBClassifier", "xgboost", "xgboost"),
        ("import sklearn, lightgbm", "lightgbm", "lightgbm"),
        ("import keras", "tensorflow", "tensorflow"),
        ("import torch", "pytorch", "torch"),
        ("import numpy", "sklearn", "sklearn"),
    ],
)
def test_the_line_to_add_is_that_of_the_framework(imports: str, flavour: str, extra: str) -> None:
    """To the letter, with the variable that was fitted and an example of its rows."""
    made = adopted(written(imports, "share = 0.2", SPLIT, "tree = make()\ntree.fit(X_train, y_train)"))
    assert made.extra == extra
    line = f'mlflow.{flavour}.log_model(tree, name="model", input_example=X_test[:3]'
    ((file, code_to_add),) = made.additions
    assert file == "work/mine.ipynb"
    assert line in code_to_add
    compile(code_to_add, file, "exec")


def test_a_notebook_that_keeps_the_contract_is_used_as_it_is() -> None:
    """Its parameters are tagged and its model is logged: no copy is made, and there is nothing to do."""
    made = adopted(written("import mlflow", "x, y, share = load()", SPLIT, "clf.fit(X_train)", LOG, tagged="depth = 3"))
    assert [sheet.path for sheet in made.sheets] == ["work/mine-validate.ipynb", "tests/test_mine.py"]
    assert tomllib.loads(made.table)["tool"]["turnout"]["models"]["mine"]["train"] == "work/mine.ipynb"
    assert (made.notes, made.additions) == ((), ())


def test_one_from_outside_is_copied_into_the_project() -> None:
    """Below notebooks/, with a word on what it may read beside it."""
    made = adopted(written(LOG, tagged="a = 1"), "mine.ipynb", is_inside=False)
    assert made.sheets[0].path == "notebooks/mine/mine-train.ipynb"
    assert any("outside the project" in note for note in made.notes)


def test_what_a_notebook_says_decides_which_gates_are_proposed() -> None:
    """Accuracy for classes, errors for numbers to be filled in, and only a count where nothing says it."""

    def gates(cell: str) -> set[str]:
        table: dict[str, Any] = tomllib.loads(adopted(written(cell)).table)["tool"]["turnout"]["models"]["mine"][
            "gates"
        ]
        return set(table)

    assert {"accuracy", "accuracy_vs_champion"} <= gates("m = LogisticRegression()")
    assert gates("m = GradientBoostingRegressor()") == {"rows", "serving"}
    assert gates("m = 1") == {"rows", "serving"}


def test_several_models_need_a_choice() -> None:
    """The last one with a name is chosen in the project file."""
    other = LOG.replace('"model"', '"calibrated"')
    assert 'logged_model = "calibrated"' in adopted(written(LOG, other)).table
    assert "logged_model" not in adopted(written(LOG)).table


def test_runs_that_would_go_elsewhere_and_models_without_a_signature_are_said() -> None:
    """Turnout would not find the first, and could not serve the second with typed inputs."""
    notes = adopted(written('mlflow.set_tracking_uri("http://x")', 'mlflow.sklearn.log_model(m, name="m")')).notes
    assert any("set_tracking_uri" in note for note in notes)
    guarded = 'if "MLFLOW_TRACKING_URI" not in os.environ:\n    mlflow.set_tracking_uri("http://x")'
    assert not any("set_tracking_uri" in note for note in adopted(written(guarded)).notes)
    assert any("input_example" in note for note in notes)
    assert any("below `with mlflow.start_run():`" in note for note in notes)


def test_braces_of_ones_own_stay() -> None:
    """What stands in a cell that is taken is no template."""
    made = adopted(written('x, y, share = load("{{name}}")', SPLIT, LOG))
    assert "{{name}}" in json.loads(made.sheets[-2].text)["cells"][4]["source"][0]
