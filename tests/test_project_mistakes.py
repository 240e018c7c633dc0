"""The project file, wrong: each mistake is told with its path and what would be right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import BadProject
from pipelines.project import read_project
from tests.project_files import KEY, MODEL, made, refusal, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder."""
    return made(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.turnout]\nprot = 1", "tool.turnout.prot is not known (did you mean port?); allowed here: port, models"),
        ("[tool.turnout]\nport = '3000'", "tool.turnout.port is '3000'; it must be a whole number from 1 to 65535"),
        ("[tool.turnout]\nport = true", "tool.turnout.port is true"),
        ("[tool.turnout]\nport = 3000.0", "tool.turnout.port is 3000.0"),
        ("[tool.turnout]\nport = 65536", "tool.turnout.port is 65536"),
        ("[tool.turnout]\nmodels = 3", "tool.turnout.models is 3; it must be a table of models"),
        ("[tool.turnout.models]\ndigits = 3", f"{KEY} is 3; it must be a table"),
        ("[tool.turnout.models.Digits]", "tool.turnout.models.Digits: 'Digits' cannot name a model"),
        ("[tool.turnout.models.'a.b']", "tool.turnout.models.\"a.b\": 'a.b' cannot name a model"),
        ("[tool.turnout.models.digits]", f"{KEY}.train is missing; it must be the path of the training notebook"),
        ("[tool]\nturnout = 3", "tool.turnout is 3; it must be a table"),
    ],
)
def test_a_mistake_at_the_top_is_told_with_its_path(root: Path, text: str, said: str) -> None:
    """Unknown keys, wrong types and impossible values each name the key, what stands there and what is allowed."""
    assert said in refusal(root, text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trian = 1", f"{KEY}.trian is not known (did you mean train?)"),
        ("parameters = 3", f"{KEY}.parameters is 3; it must be a table of values"),
        ("parameters = { l = [1] }", f"{KEY}.parameters.l is [1]; it must be a number, a text, true or false"),
        ("parameters = { d = 2020-01-01 }", f"{KEY}.parameters.d is 2020-01-01"),
        ("parameters = { x = nan }", f"{KEY}.parameters.x is nan; numbers must be finite"),
        ("parameters = { 'import os' = 1 }", f'{KEY}.parameters."import os" is no name a Python variable can have'),
        ("parameters = { import = 1 }", f"{KEY}.parameters.import is no name a Python variable can have"),
        ("validate_parameters = { model_uri = 'x' }", f"{KEY}.validate_parameters.model_uri is set by Turnout"),
        ("inputs = 'data'", f"{KEY}.inputs is 'data'; it must be a list of paths"),
        ("inputs = [{ comand = 'ls' }]", f"{KEY}.inputs has {{'comand': 'ls'}}; it must be a path or {{ command"),
        ("inputs = [{ command = ' ' }]", f"{KEY}.inputs has {{'command': ' '}}; it must be a path or {{ command"),
        ("inputs = [{ command = 'ls', x = 1 }]", f"{KEY}.inputs has"),
        ("inputs = ['data', 3]", f"{KEY}.inputs[1] is 3; it must be a list of paths"),
        ("inputs = ['../data']", f"{KEY}.inputs is '../data', which lies outside the project"),
        ("inputs = ['/etc/passwd']", f"{KEY}.inputs is '/etc/passwd', which lies outside the project"),
        ('inputs = ["a\\u0000b"]', f"{KEY}.inputs is"),
        ("logged_model = ''", f"{KEY}.logged_model is ''"),
        ("cell_timeout_minutes = 0", f"{KEY}.cell_timeout_minutes is 0; it must be a number above 0"),
        ("cell_timeout_minutes = nan", f"{KEY}.cell_timeout_minutes is nan"),
        ("cell_timeout_minutes = 10081", f"{KEY}.cell_timeout_minutes is 10081"),
        ("gates = 1", f"{KEY}.gates is 1; it must be a table of gates"),
        (
            "gates.accuracy.mn = 0.5",
            f"{KEY}.gates.accuracy.mn is not known (did you mean min?); allowed here: min, max",
        ),
        ("gates.accuracy = 0.5", f"{KEY}.gates.accuracy is 0.5; it must be a table such as {{ min = 0.9 }}"),
        ("gates.accuracy = {}", f"{KEY}.gates.accuracy: the gate accuracy has no bound"),
        ("gates.accuracy.min = true", f"{KEY}.gates.accuracy.min is true; it must be a finite number"),
        ("gates.accuracy.min = '0.5'", f"{KEY}.gates.accuracy.min is '0.5'"),
        ("gates.accuracy.max = inf", f"{KEY}.gates.accuracy.max is inf"),
        ("gates.accuracy = { min = 2, max = 1 }", f"{KEY}.gates.accuracy: the gate accuracy has min 2.0 above max 1.0"),
        (
            "gates.accuracy.margin = 0.1",
            f"{KEY}.gates.accuracy.margin belongs to a comparison; the gate would be called",
        ),
        ("gates.a_vs_champion.min = 1", f"{KEY}.gates.a_vs_champion takes a margin, not min or max"),
        ("gates._vs_champion.margin = 1", f"{KEY}.gates._vs_champion names no metric"),
        ("gates.accuracy_vs_champion = {}", f"{KEY}.gates.accuracy_vs_champion.margin is missing"),
        ("gates.accuracy_vs_champion.margin = -1", f"{KEY}.gates.accuracy_vs_champion.margin is -1"),
        (
            "gates.accuracy_vs_champion = { margin = 0, confidence = 95 }",
            "confidence is 95; it must be a number from 0.5",
        ),
        (
            "gates.accuracy_vs_champion = { margin = 0, better = 'up' }",
            'better is \'up\'; it must be "higher" or "lower"',
        ),
        (
            "gates.mse_vs_champion = { margin = 0, better = 'higher' }",
            "better is 'higher', but mse is better when lower",
        ),
        ("gates.cost_vs_champion = { margin = 0 }", f"{KEY}.gates.cost_vs_champion.better is missing"),
        ("gates.acuracy_vs_champion = { margin = 0 }", "(did you mean accuracy?)"),
        ("gates.serving.latency_ms = 5", f"{KEY}.gates.serving.latency_ms is not known (did you mean latency_p95_ms?)"),
        ("gates.serving.memory_mb = 0", f"{KEY}.gates.serving.memory_mb is 0; it must be a number above 0"),
        ("rollout.steps = [10, 5]", f"{KEY}.rollout.steps is [10, 5]; steps rise from at least 1 and end at 100"),
        ("rollout.steps = [10, '50', 100]", f"{KEY}.rollout.steps[1] is '50'"),
        ("rollout.steps = [10, 50]", f"{KEY}.rollout.steps is [10, 50]; steps rise from at least 1 and end at 100"),
        ("rollout.steps = []", f"{KEY}.rollout.steps is []; steps rise from at least 1 and end at 100"),
        ("rollout.alpha_failures = 0", f"{KEY}.rollout.alpha_failures is 0; it must be a probability from 0.000001"),
        ("rollout.alpha_others = -1", f"{KEY}.rollout.alpha_others is -1; it must be a probability from 0.000001"),
        ("rollout.alpha_promotion = nan", f"{KEY}.rollout.alpha_promotion is nan"),
        ("rollout.max_relative_risk = 1", f"{KEY}.rollout.max_relative_risk is 1"),
        ("rollout.latency_ms = 0", f"{KEY}.rollout.latency_ms is 0"),
        ("rollout.bake_minutes = -1", f"{KEY}.rollout.bake_minutes is -1"),
        ("rollout.holdback = 51", f"{KEY}.rollout.holdback is 51; it must be a whole number from 0 to 50"),
        ("rollout.keep = true", f"{KEY}.rollout.keep is true"),
        ("capture.rate = 10", f"{KEY}.capture.rate is 10; it must be a number from 0 (nothing is kept) to 1"),
        ("capture.max_mb = 0", f"{KEY}.capture.max_mb is 0; it must be a number from 1 to 1000000, in megabytes"),
        ("capture.enabled = false", f"{KEY}.capture.enabled is not known"),
        ("capture = 0.5", f"{KEY}.capture is 0.5; it must be a table"),
        ("drift = 0.5", f"{KEY}.drift is 0.5; it must be a table, or false"),
        ("drift.window_rows = 10", f"{KEY}.drift.window_rows is 10; it must be a whole number from 50 to 100000"),
        ("drift.alpha = 0", f"{KEY}.drift.alpha is 0; it must be a probability from 0.000001 to 0.2, such as 0.01"),
        ("drift.min_psi = -1", f"{KEY}.drift.min_psi is -1; it must be a number from 0 to 10, such as 0.1"),
        ("drift.min_minutes = '1'", f"{KEY}.drift.min_minutes is '1'; it must be a number from 0 to 10080, a week"),
        ("drift.window = 100", f"{KEY}.drift.window is not known (did you mean window_rows?)"),
        (
            "capture = { hash = ['a', 'b'], leave_out = ['b'] }",
            f"{KEY}.capture.leave_out and capture.hash both name b; a field is in one of them at most",
        ),
        ("rollout.on_inconclusive = 'wait'", f"{KEY}.rollout.on_inconclusive is 'wait'; it must be \"hold\""),
    ],
)
def test_a_mistake_in_a_model_is_told_with_its_path(root: Path, line: str, said: str) -> None:
    """Every key of a model refuses what it cannot be, and says what it may be."""
    assert said in refusal(root, MODEL + line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('schedule = "every day"', f"{KEY}.schedule is 'every day'"),
        ('schedule = "0 25 * * *"', "Bad hour"),
        ('schedule = "* * * * * *"', "five fields"),
        ('schedule = "0 0 31 2 *"', "Bad day-of-month"),
        ('after = ["nobody"]', "'nobody', which is no model of the project"),
        ('after = ["digit"]', "did you mean digits?"),
        ('after = ["digits"]', "in a circle: digits after digits"),
        ('tests = ["../elsewhere"]', "lies outside the project"),
        ("test_parameters = { epochs = [1] }", f"{KEY}.test_parameters.epochs is [1]"),
    ],
)
def test_what_cannot_happen_by_itself_is_told(root: Path, line: str, said: str) -> None:
    """A schedule that is none, a model that is not there, a model that would wait for itself."""
    assert said in refusal(root, f"{MODEL}\n{line}")


def test_models_that_wait_for_each_other_are_refused(root: Path) -> None:
    """Also over a third; the circle is shown."""
    names = ("a", "b", "c")
    tables = "".join(
        f"{MODEL.replace('digits', name)}after = [{names[(place + 1) % 3]!r}]\n" for place, name in enumerate(names)
    )
    assert "in a circle: " in refusal(root, tables)
    write(root, tables.replace("after = ['a']", ""))
    assert read_project(root).model("a").automation.after == ("b",)


def test_a_time_zone_is_one(root: Path) -> None:
    """A name that the machine's table of zones has."""
    assert "'Mars/Olympus'" in refusal(root, f'[tool.turnout]\ntimezone = "Mars/Olympus"\n{MODEL}')
    write(root, f'[tool.turnout]\ntimezone = "Europe/Berlin"\ntag_promotions = true\n{MODEL}schedule = "0 3 * * 1-5"\n')
    project = read_project(root)
    assert (project.timezone, project.tag_promotions) == ("Europe/Berlin", True)
    assert project.model("digits").automation.schedule == "0 3 * * 1-5"


def test_all_mistakes_are_told_at_once(root: Path) -> None:
    """A person corrects the file once: mistakes of different depth and of two models come together, one a line."""
    second = MODEL.replace("digits", "other") + "gates.x = 1\n"
    said = refusal(root, f"[tool.turnout]\nprot = 1\n{MODEL}trian = 1\ninputs = ['..']\n{second}")
    lines = said.splitlines()[1:]
    assert len(lines) == 4
    assert [part for part in ("prot", "trian", "inputs", "other.gates.x") if part not in said] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("validate.ipynb", "valdate.ipynb", "which does not exist (did you mean notebooks/validate.ipynb?)"),
        ("validate.ipynb", "train.ipynb", "is the training notebook too"),
        ("notebooks/validate.ipynb", "../validate.ipynb", "lies outside the project"),
        ("notebooks/validate.ipynb", "notebooks/../../validate.ipynb", "lies outside the project"),
        ("validate.ipynb", "validate.py", "it must be a notebook, a file ending in .ipynb"),
        ("notebooks/validate.ipynb", "notebooks", "it must be a notebook, a file ending in .ipynb"),
        ("notebooks/validate.ipynb", "https://example.org/v.ipynb", "does not exist"),
    ],
)
def test_a_notebook_is_a_file_inside_the_project(root: Path, old: str, new: str, said: str) -> None:
    """Missing, outside, doubled or no notebook at all: each names the key and the value."""
    message = refusal(root, MODEL.replace(old, new))
    assert f"{KEY}.validate is" in message
    assert said in message


def test_a_link_that_leads_out_is_outside(root: Path) -> None:
    """Where a notebook really lies counts, not where its name stands."""
    outside = root.parent / "outside.ipynb"
    outside.write_text("{}", encoding="utf-8")
    (root / "notebooks" / "linked.ipynb").symlink_to(outside)
    assert "lies outside the project" in refusal(root, MODEL.replace("validate.ipynb", "linked.ipynb"))


def test_broken_toml_names_the_line(root: Path) -> None:
    """A typing mistake is found by its line."""
    assert "line 2" in refusal(root, "[tool.turnout]\nport = = 3\n")


def test_a_file_that_is_not_text_names_the_line(root: Path) -> None:
    """A wrong encoding is told like one."""
    (root / "pyproject.toml").write_bytes(b"[tool.turnout]\nport = 1 # gr\xfc\xdfe\n")
    with pytest.raises(BadProject, match=r"not UTF-8 text \(line 2\)"):
        read_project(root)


def test_a_file_that_cannot_be_read_is_told(root: Path) -> None:
    """A folder in the file's place is an error with the path, not a traceback."""
    (root / "pyproject.toml").unlink()
    (root / "pyproject.toml").mkdir()
    with pytest.raises(BadProject, match="cannot be read"):
        read_project(root)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["train", "validate", "parameters", "inputs", "gates", "rollout", "logged_model", "zzz"])


def toml(value: object) -> str:
    """A value as TOML; None, which TOML has not, as an empty text."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return '""'
        case int() | float():
            return repr(value)
        case str():
            return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
        case list():
            return f"[{', '.join(toml(part) for part in value)}]"
        case dict():
            return "{" + ", ".join(f"{toml(name)} = {toml(part)}" for name, part in value.items()) + "}"
    raise AssertionError(value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(keys, values, max_size=4))
def test_no_file_gives_another_error(root: Path, table: dict[str, object]) -> None:
    """Whatever stands in a model's table, it is read or refused with the key's path, never a traceback."""
    body = "\n".join(f"{name} = {toml(value)}" for name, value in table.items())
    write(root, f"[tool.turnout.models.digits]\n{body}\n")
    said = ""
    try:
        read_project(root)
    except BadProject as error:
        said = str(error)
    assert not said or "tool.turnout.models.digits" in said


def test_an_unreadable_file_is_told(root: Path) -> None:
    """A file without read permission is an error with its path."""
    (root / "pyproject.toml").chmod(0)
    if os.access(root / "pyproject.toml", os.R_OK):
        # The superuser reads everything, so that nothing is refused to see.
        assert read_project(root).models
        return
    with pytest.raises(BadProject, match="cannot be read"):
        read_project(root)
