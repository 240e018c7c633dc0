"""Functions around a real model on real rows, in a real process: what is taken, and what each mistake is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.adapters.packaging import coding, raw_rows, reference
from pipelines.adapters.packaging.packager import BentoPackager
from pipelines.adapters.packaging.rehearsal import TRIAL_NAME, TrialJob
from pipelines.adapters.packaging.trial import carry_out
from pipelines.errors import BadServiceCode
from pipelines.values import (
    FUNCTIONS,
    Field,
    Layout,
    Manifest,
    Modules,
    ServiceFiles,
    ServiceFunction,
    Signature,
    Task,
    VersionRef,
)
from pipelines.values.drift import REFERENCE_NAME, Reference
from tests.serving.bentos import TABLE, TABLE_ROWS, TENSOR, make_table_bento, make_tensor_bento

NOTHING = Signature(Layout.TENSOR, (Field("x", "float64"),), (Field("y", "float64"),))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bento's source folder with an image classifier."""
    return make_tensor_bento(tmp_path_factory.mktemp("image") / "src")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bento's source folder with a classifier of a table."""
    return make_table_bento(tmp_path_factory.mktemp("table") / "src")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Validation rows, by nothing: 1500 images, more than one batch; and the table's."""
    folder = tmp_path_factory.mktemp("rows")
    images = np.random.default_rng(3).random((1500, 4, 4, 1)).astype(np.float32)
    np.save(folder / "inputs.npy", images)
    lines = ["age,income,job,member", *(_line(row) for row in TABLE_ROWS)]
    (folder / "inputs.csv").write_text("\n".join(lines) + "\n")
    return {Path("image"): folder / "inputs.npy", Path("table"): folder / "inputs.csv"}


def _line(row: dict[str, Any]) -> str:
    return ",".join("" if row.get(name) is None else str(row[name]) for name in ("age", "income", "job", "member"))


@contextmanager
def place(bento: Path, tmp_path: Path, **bodies: str) -> Iterator[tuple[Path, ServiceFiles]]:
    """A copy of the bento without functions, and the functions."""
    stage = tmp_path / "stage"
    stage.mkdir()
    Manifest.read(bento).write(stage)
    (stage / "model").symlink_to(bento / "model", target_is_directory=True)
    functions = tuple(ServiceFunction.of(name, "digits", bodies[name]) for name in FUNCTIONS if name in bodies)
    yield stage, ServiceFiles(functions)


def tried(
    bento: Path, tmp_path: Path, rows: Path, raw: str = "", seconds: float = 20.0, **bodies: str
) -> dict[str, Any]:
    """What a trial says, in this process."""
    with place(bento, tmp_path, **bodies) as (stage, files):
        coding.lay_out(stage, files)
        return carry_out(TrialJob(stage, rows, raw, seconds))


def preprocess(*lines: str) -> str:
    """The text of a cell."""
    return "import numpy as np\n\n\ndef preprocess(inputs):\n" + "".join(f"    {line}\n" for line in lines)


def postprocess(*lines: str) -> str:
    """The text of a cell."""
    return preprocess(*lines).replace("preprocess(inputs)", "postprocess(outputs)")


def test_an_image_is_tried_on_all_rows(image: Path, rows: dict[Path, Path], tmp_path: Path) -> None:
    """The inputs stay as the model has them; the outputs are those that the function shows."""
    before = preprocess("return inputs * 0.5")
    after = postprocess("top = outputs.argmax(axis=1)", "return {'digit': top, 'name': np.array(['a', 'b', 'c'])[top]}")
    found = tried(image, tmp_path, rows[Path("image")], preprocess=before, postprocess=after)
    interface = Signature.from_dict(found["interface"])
    assert interface.inputs == TENSOR.inputs
    assert interface.outputs == (Field("digit", "int64"), Field("name", "string"))
    assert (interface.task, interface.classes) == (Task.OTHER, ())
    assert (found["rows"], found["warmup"]) == (1500, None)


def test_a_table_is_a_dictionary_of_columns(table: Path, rows: dict[Path, Path], tmp_path: Path) -> None:
    """Missing values come as NaN, texts as objects; outputs that keep their form keep their meaning."""
    before = preprocess(
        "income = inputs['income']",
        "assert np.isnan(income).any() or len(income) == 1 and inputs['job'].dtype == object",
        "return {**inputs, 'income': np.where(np.isnan(income), 40, income)}",
    )
    after = postprocess("return {**outputs, 'probabilities': outputs['probabilities'].round(2)}")
    found = tried(table, tmp_path, rows[Path("table")], preprocess=before, postprocess=after)
    assert Signature.from_dict(found["interface"]) == TABLE
    assert found["rows"] == 3


@pytest.mark.parametrize(
    "line", ["inputs.pop('age')", "inputs['new'] = 1", "inputs['age'][0] = 7", "inputs['job'][:] = 'x'"]
)
def test_a_dictionary_stays_as_it_is(table: Path, rows: dict[Path, Path], tmp_path: Path, line: str) -> None:
    """Its arrays and its names: the next call would find others."""
    body = preprocess("kept = dict(inputs)", "kept['age'] = kept['age'].copy()", line, "return kept")
    with pytest.raises(BadServiceCode, match=r"changes '\w+', which it was given, in place"):
        tried(table, tmp_path, rows[Path("table")], preprocess=body)


def test_example_rows_make_the_interface(image: Path, tmp_path: Path) -> None:
    """With rows as clients send them the inputs are theirs, and so is the warm-up."""
    raw = json.dumps({"inputs": np.arange(20 * 16).reshape(20, 16).tolist()})
    before = preprocess("return inputs.reshape(-1, 4, 4, 1) / 320")
    found = tried(image, tmp_path, tmp_path / "unread", raw, preprocess=before)
    interface = Signature.from_dict(found["interface"])
    assert interface.inputs == (Field("inputs", "int64", (16,)),)
    assert interface.outputs == TENSOR.outputs
    assert (found["rows"], len(found["warmup"])) == (20, 16)


def test_what_is_not_packaged_yet_is_tried_before_its_model(rows: dict[Path, Path], tmp_path: Path) -> None:
    """The inputs are those of MLflow's signature; a function after the model is loaded and not called."""
    import mlflow
    from mlflow.models import Model as MlflowModel
    from mlflow.types import ColSpec, Schema

    kinds = (("long", "age", True), ("double", "income", False), ("string", "job", True), ("boolean", "member", True))
    columns = Schema([ColSpec(kind, name, required) for kind, name, required in kinds])
    logged = tmp_path / "logged"
    logged.mkdir()
    MlflowModel(signature=mlflow.models.ModelSignature(columns)).save(str(logged / "MLmodel"))

    def tried_before(number: int, **bodies: str) -> dict[str, Any]:
        stage = tmp_path / str(number)
        stage.mkdir()
        functions = tuple(ServiceFunction.of(name, "credit", bodies[name]) for name in FUNCTIONS if name in bodies)
        coding.lay_out(stage, ServiceFiles(functions))
        return carry_out(TrialJob(stage, rows[Path("table")], logged=logged))

    never = postprocess("return outputs['lost']")
    found = tried_before(1, preprocess=preprocess("return {**inputs, 'age': inputs['age'] + 1}"), postprocess=never)
    assert found["rows"] == 3
    assert [field["dtype"] for field in found["interface"]["inputs"]] == ["int64", "float64", "string", "bool"]
    assert tried_before(2, postprocess=never)["rows"] == 0
    bad = ServiceFiles((ServiceFunction.of("preprocess", "credit", preprocess("return inputs['lost']")),))
    packager = BentoPackager(tmp_path / ".turnout", tmp_path)
    with pytest.raises(BadServiceCode, match="line 6 of preprocess raised KeyError: 'lost'"):
        packager.try_before(VersionRef("credit", 1), logged, rows[Path("table")], bad)
    assert not list((tmp_path / ".turnout" / "tmp").glob("*/"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("return inputs[:1]",), r"what preprocess returns does not fit: its 'image' has the shape \(1, 4, 4, 1\)"),
        (("return inputs.reshape(len(inputs), 16)",), r"shape \(1, 16\); expected \(1, 4, 4, 1\)"),
        (("return inputs.astype(str)",), "type <U32; expected float32"),
        (("return inputs / 0.0",), "NaN or infinite"),
        (("if len(inputs) > 1:", "    return None", "return inputs"), "shape"),
        (("x = 1", "return inputs / (x - 1) // None"), "line 7 of preprocess raised TypeError"),
        (("return inputs['age']",), "line 6 of preprocess raised IndexError"),
        (("inputs *= 2", "return inputs"), "changes 'image', which it was given, in place"),
        (("return inputs + np.random.random()",), "another 'image' for the same rows"),
        (("return inputs - inputs.mean()",), "when that row comes alone"),
        (("raise SystemExit(3)",), "line 6 of preprocess raised SystemExit: 3"),
        (("return {'x': inputs}",), "returned the fields x; expected image"),
        (("return inputs * 1e30 * 1e30",), "NaN or infinite"),
        (("with __import__('pathlib').Path('lost.txt').open() as f:", "    return f"), "FileNotFoundError"),
    ],
)
def test_each_mistake_is_named(
    image: Path, rows: dict[Path, Path], tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    """With its line where it has one, in one sentence."""
    with np.errstate(all="ignore"), pytest.raises(BadServiceCode, match=said) as caught:
        tried(image, tmp_path, rows[Path("image")], preprocess=preprocess(*lines))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("return None",), "postprocess returned nothing"),
        (("return float(outputs.sum())",), "postprocess returned a value of the type float"),
        (("return outputs.argmax()",), "postprocess returned a value of the type int64"),
        (("return outputs.argmax(axis=1)[:-1]",), "shape"),
        (("return {}",), "empty dictionary"),
        (("return {1: outputs}",), "field named 1"),
        (("return {'a': outputs, 'b': [1, 'x', None] * 500}",), r"shape|type"),
        (("return outputs.astype(complex)",), "type complex"),
        (("return [{'a': 1}] * len(outputs)",), "of the type object"),
        (("return np.log(outputs * 0)",), "NaN or infinite"),
        (
            ("return outputs.argmax(axis=1) if len(outputs) > 1 else outputs.max(axis=1)",),
            "type float32; expected int64",
        ),
    ],
)
def test_each_mistake_after_the_model_is_named(
    image: Path, rows: dict[Path, Path], tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    """Likewise."""
    with np.errstate(all="ignore"), pytest.raises(BadServiceCode, match=said):
        tried(image, tmp_path, rows[Path("image")], postprocess=postprocess(*lines))


def test_what_never_returns_is_given_up(image: Path, rows: dict[Path, Path], tmp_path: Path) -> None:
    """Even when it catches every exception; the message has the line where it was."""
    lines = ("while True:", "    try:", "        inputs = inputs + 0", "    except Exception:", "        pass")
    body = preprocess(*lines, "return inputs")
    with pytest.raises(BadServiceCode, match=r"line \d+ of preprocess has not returned after 0.5 seconds"):
        tried(image, tmp_path, rows[Path("image")], seconds=0.5, preprocess=body)


def test_what_the_model_cannot_take_is_told(image: Path, tmp_path: Path, rows: dict[Path, Path]) -> None:
    """A finite input may have no finite answer."""
    before = preprocess("return inputs * 0 + np.float32(3e38)")
    with np.errstate(all="ignore"), pytest.raises(BadServiceCode, match="the model's 'scores' is not finite"):
        tried(image, tmp_path, rows[Path("image")], preprocess=before)


def test_it_is_laid_into_a_bento(image: Path, rows: dict[Path, Path], tmp_path: Path) -> None:
    """A process of its own tries it; manifest, functions and warm-up lie there afterwards."""
    before = preprocess("return inputs.reshape(-1, 4, 4, 1) / 320")
    modules = Modules(frozenset(), frozenset({"numpy"}))
    with place(image, tmp_path, preprocess=before) as (stage, files):
        files = replace(files, rows=json.dumps({"inputs": [[1] * 16, [2] * 16]}))
        manifest = coding.apply(stage, files, rows[Path("image")], modules, {})
        assert Manifest.read(stage) == manifest
        assert manifest.service_code is not None
        assert manifest.service_code.digests == files.digests
        assert json.loads((stage / "warmup.json").read_text()) == json.loads(files.rows)


@pytest.mark.parametrize(
    ("functions", "own_rows", "inputs", "answers"),
    [
        ({"preprocess": preprocess("return inputs")}, True, 0, 2),
        ({"preprocess": preprocess("return inputs")}, False, 7, 0),
        ({"postprocess": "def postprocess(outputs):\n    return outputs\n"}, False, 7, 0),
    ],
)
def test_the_reference_keeps_what_functions_leave_as_it_is(
    image: Path, tmp_path: Path, functions: dict[str, str], own_rows: bool, inputs: int, answers: int
) -> None:
    """What clients send may not be what the model gets, nor what it says what they get; it is said what is left out."""
    with place(image, tmp_path, **functions) as (stage, files):
        signature = Manifest.read(stage).signature
        values = {"image": np.random.default_rng(1).random((40, 4, 4, 1)).astype(np.float32)}
        reference.write(stage, signature, values, {"scores": np.full((40, 3), 1 / 3, np.float32)})
        reference.leave_out(stage, replace(files, rows='{"inputs": [[1]]}' if own_rows else ""))
        found = Reference.from_dict(json.loads((stage / REFERENCE_NAME).read_text()))
    assert (len(found.inputs), len(found.answers), len(found.left_out)) == (inputs, answers, 1)


def test_a_process_that_dies_is_told(image: Path, rows: dict[Path, Path], tmp_path: Path) -> None:
    """A function may end its process: that is a message, and nothing else ends."""
    body = "import os\n\n\ndef preprocess(inputs):\n    os._exit(9)\n    return inputs\n"
    modules = Modules(frozenset({"os"}), frozenset())
    with (
        place(image, tmp_path, preprocess=body) as (stage, files),
        pytest.raises(BadServiceCode, match="tried preprocess out on real rows ended with code 9"),
    ):
        coding.apply(stage, files, rows[Path("image")], modules, {})


def test_what_the_bento_does_not_install_is_refused(image: Path, rows: dict[Path, Path], tmp_path: Path) -> None:
    """It is on this machine, and would be missing on another."""
    body = "import pandas as pd\n" + preprocess("return pd.DataFrame(inputs)")
    with (
        place(image, tmp_path, preprocess=body) as (stage, files),
        pytest.raises(BadServiceCode, match=r"imports pandas, which the bento does not install; .* numpy"),
    ):
        coding.apply(stage, files, rows[Path("image")], Modules(frozenset(), frozenset({"numpy"})), {})


def test_a_job_survives_its_file(tmp_path: Path) -> None:
    """With and without rows."""
    whole = TrialJob(tmp_path, tmp_path / "x.npy", "[]", 3.0, tmp_path / "model")
    for job in (whole, TrialJob(tmp_path, None)):
        job.write(tmp_path / TRIAL_NAME)
        assert TrialJob.read(tmp_path / TRIAL_NAME) == job


@pytest.mark.parametrize(
    ("shown", "fields"),
    [
        ([1, 2], (Field("inputs", "int64"),)),
        ([1, 2.5], (Field("inputs", "float64"),)),
        (["a"], (Field("inputs", "string"),)),
        ([[1, 2], [3, 4.5]], (Field("inputs", "float64", (2,)),)),
        ([[[True]]], (Field("inputs", "bool", (1, 1)),)),
        (
            [{"a": 1, "b": "x"}, {"a": None, "b": "y", "c": [1.5, 2]}],
            (Field("a", "int64", (), False), Field("b", "string"), Field("c", "float64", (2,), False)),
        ),
    ],
)
def test_rows_show_their_fields(shown: list[Any], fields: tuple[Field, ...]) -> None:
    """Types and shapes are those of all rows; what is missing in one is optional."""
    rows, interface, arrays = raw_rows.read(json.dumps({"inputs": shown}), NOTHING)
    assert rows == shown
    assert interface.inputs == fields
    assert {name: len(array) for name, array in arrays.items()} == dict.fromkeys(arrays, len(shown))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"inputs": []}', '{"inputs": 3}', '{"inputs": [null]}', '{"inputs": [1, "a"]}'),
        *('{"inputs": [[1], [1, 2]]}', '{"inputs": [{"a": null}]}', '{"inputs": [{"a": {}}]}', '{"inputs": [{}, 1]}'),
        *('{"inputs": [{}]}', '{"inputs": [["a"]]}', '{"inputs": [[]]}', '{"inputs": [{"a": [1]}, {}]}'),
        *('{"inputs": [99999999999999999999999]}', '{"inputs": [[99999999999999999999999]]}', "[" * 100_000),
    ],
)
def test_what_is_no_rows_is_refused(text: str) -> None:
    """One sentence, whatever it is."""
    with pytest.raises(BadServiceCode, match="example rows"):
        raw_rows.read(text, NOTHING)
