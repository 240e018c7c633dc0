"""Which texts of a cell may stand before or after a model: read, never run."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.errors import BadServiceCode
from pipelines.policy.service_code import check
from pipelines.values import FunctionName, Modules, ServiceFiles, ServiceFunction

MODULES = Modules(frozenset(sys.stdlib_module_names), frozenset({"numpy", "orjson"}))
GOOD = "def preprocess(inputs):\n    return inputs / 16.0\n"


def read(body: str, name: FunctionName = "preprocess", modules: Modules | None = MODULES) -> None:
    """Check the text of a cell."""
    check(ServiceFunction.of(name, "digits", body), modules)


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        '"""What clients send is 0 to 16."""\nimport numpy as np\nSCALE: float = 1 / 16\nMEAN = np.array([0.5, 0.25], '
        "dtype=np.float32)\nNAMES = {'a': [1, 2], 'b': (True, None)}\n\n\n"
        "def helper(x, by=SCALE):\n    return x * by\n\n\n"
        "def preprocess(inputs: np.ndarray) -> np.ndarray:\n    return helper(inputs) - MEAN[0]\n",
        "import math, re\nfrom collections import OrderedDict as D\nWORD = re.compile('a+', flags=re.ASCII)\n"
        "TURN = 2 * math.pi\n"
        "def preprocess(inputs):\n    import statistics\n    return D(inputs)\n",
        "from __future__ import annotations\ndef preprocess(inputs: whatever) -> np.ndarray:\n    return inputs\n",
        "def preprocess(inputs, /):\n    inner = lambda x: [y + x for y in range(x)]\n    return inner(len(inputs))\n",
        "def preprocess(inputs):\n    def rows():\n        yield inputs\n    return list(rows())\n",
        "def preprocess(inputs):\n    try:\n        return inputs\n    except KeyError as e:\n        print(e)\n",
    ],
)
def test_plain_functions_are_taken(body: str) -> None:
    """Imports, helpers, constants and one function of the right name."""
    read(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def preprocess(inputs:\n    return inputs\n", r"line 2 of preprocess is no Python"),
        ("!pip install x\n" + GOOD, r"line 2 of preprocess is no Python"),
        ("return 1\n" + GOOD, "line 2 of preprocess is no Python: 'return' outside function"),
        ("", "preprocess defines no function; one `def preprocess"),
        ("def prepare(inputs):\n    return inputs\n", "preprocess defines prepare; one `def preprocess"),
        (GOOD + GOOD, "defines preprocess 2 times"),
        ("async def preprocess(inputs):\n    return inputs\n", "line 2 of preprocess would run `async def"),
        ("def preprocess():\n    return 1\n", r"line 2 of preprocess gives it the arguments \(\); it has one"),
        ("def preprocess(a, b):\n    return a\n", r"arguments \(a, b\)"),
        ("def preprocess(*inputs):\n    return inputs\n", r"\(\*inputs\)"),
        ("def preprocess(inputs, **more):\n    return inputs\n", r"\*\*more"),
        ("def preprocess(*, inputs):\n    return inputs\n", "inputs"),
        ("def preprocess(inputs):\n    inputs / 16\n", "returns nothing"),
        ("def preprocess(inputs):\n    return\n", "returns nothing"),
        ("def preprocess(inputs):\n    yield inputs\n    return 1\n", "generator"),
        (
            "\n\ndef preprocess(inputs):\n    return scaler.transform(inputs) / SCALE\n",
            r"line 5 of preprocess uses SCALE, scaler",
        ),
        ("def preprocess(inputs):\n    return display(inputs)\n", "line 3 of preprocess uses display, which is not"),
        ("def preprocess(inputs):\n    return [x for x in rows if x]\n", "uses rows"),
        ("def preprocess(inputs):\n    class A:\n        b = lost\n    return A\n", "uses lost"),
        ("def preprocess(inputs: np.ndarray):\n    return inputs\n", "line 2 of preprocess uses np"),
        ("def preprocess(inputs):\n    return open('x').read()\n", "line 3 of preprocess calls open; a bento has no"),
        ("def preprocess(inputs):\n    return eval('1')\n", "calls eval"),
        (
            "import pandas as pd\n" + GOOD,
            "line 2 of preprocess imports pandas, which the bento does not install; there are",
        ),
        (
            "def preprocess(inputs):\n    import helpers.text\n    return inputs\n",
            "line 3 of preprocess imports helpers",
        ),
        ("from . import helpers\n" + GOOD, "relative"),
        ("from numpy import *\n" + GOOD, "imports everything"),
        ("model = load()\n" + GOOD, r"line 2 of preprocess would run `model = load\(\)`"),
        ("print('x')\n" + GOOD, r"would run `print\('x'\)`"),
        ("import os\nos.environ['A'] = 'b'\n" + GOOD, "line 3 of preprocess would run"),
        ("for i in range(3):\n    pass\n" + GOOD, "would run `for i in"),
        ("class A:\n    pass\n" + GOOD, "would run `class A"),
        ("a, b = 1, 2\n" + GOOD, "would run"),
        ("import numpy as np\nW = np.load('w.npy')\n" + GOOD, "line 3 of preprocess would run"),
        ("import functools\n@functools.cache\n" + GOOD, "decorator"),
        ("def preprocess(inputs=list(range(3))):\n    return inputs\n", "default"),
        ("def preprocess(inputs: print('x')):\n    return inputs\n", "annotation"),
        (
            "SEEN = 0\ndef preprocess(inputs):\n    global SEEN\n    SEEN += 1\n    return inputs\n",
            "line 4 of preprocess changes SEEN",
        ),
        ("x" * 300_000, "300,... characters"),
    ],
)
def test_anything_else_is_refused_with_its_line(body: str, said: str) -> None:
    """The message names the line of the cell, its magic being the first, the cause and what is right."""
    with pytest.raises(BadServiceCode, match=said):
        read(body)


def test_the_names_of_the_other_function_are_no_help() -> None:
    """A cell of `postprocess` has to define that."""
    with pytest.raises(BadServiceCode, match="postprocess defines preprocess"):
        read(GOOD, "postprocess")


def test_imports_wait_until_it_is_known_what_there_is() -> None:
    """Without a bento's list nothing is said of imports; names are checked all the same."""
    read("import pandas\n" + GOOD, modules=None)
    with pytest.raises(BadServiceCode, match="uses frame"):
        read("import pandas\ndef preprocess(inputs):\n    return frame\n", modules=None)


def test_nothing_is_run(tmp_path: Path) -> None:
    """Reading a text that would write a file writes none."""
    mark = tmp_path / "mark"
    with pytest.raises(BadServiceCode):
        read(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n" + GOOD)
    read(f"def preprocess(inputs):\n    from pathlib import Path\n    return Path({str(mark)!r}).touch()\n")
    assert not mark.exists()


WORDS = st.sampled_from(
    [
        *"()[]{}:=,.*@!%;\\'\"#\n\t \x00\ud800",
        *(
            "def ",
            "preprocess",
            "(inputs)",
            "return ",
            "inputs",
            "    ",
            "\n    ",
            "import ",
            "numpy",
            "lambda",
            "global x",
        ),
        *("yield", "class A", "async ", "await ", "f'{x}'", "1", "**", "from x ", "é", "\r", "\f", "match x:"),
    ]
)


@given(st.one_of(st.text(), st.lists(WORDS).map("".join), st.lists(WORDS).map(lambda words: GOOD + "".join(words))))
@example("(" * 5000)
@example("1" + "+1" * 20_000)
@example("x = " + "[" * 90 + "]" * 90 + "\n" + GOOD)
@example("-" * 5000 + "1")
@example(GOOD + "\n'\\('")
def test_any_text_is_taken_or_refused(body: str) -> None:
    """Never anything but an error of ours, and what is taken can be parsed and has the function."""
    try:
        read(body)
    except BadServiceCode as error:
        said = str(error)
    else:
        said = "taken"
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # such as of an escape that Python does not know: no error of the function's
            parsed = ast.parse(body)
        assert any(isinstance(node, ast.FunctionDef) and node.name == "preprocess" for node in parsed.body)
    assert said
    assert "\n" not in said


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cells_text_is_kept_as_it_is(body: str) -> None:
    """The file is the text below one line that names it; its digest does not depend on line ends or the header."""
    function = ServiceFunction.of("preprocess", "digits", body)
    ends = function.body.removesuffix("\n")
    assert ends in (body.replace("\r\n", "\n").replace("\r", "\n"), body.replace("\r\n", "\n").replace("\r", "\n")[:-1])
    assert function.is_ours
    assert not function.is_edited
    assert ServiceFunction("preprocess", function.text.replace("\n", "\r\n")).digest == function.digest
    assert ServiceFunction("preprocess", f"# turnout: preprocess\n{function.body}").digest == function.digest
    assert ServiceFunction("preprocess", function.text + "#").is_edited


def test_only_a_file_that_says_so_is_service_code() -> None:
    """A helper module of somebody's own that happens to have the name is left alone."""
    assert not ServiceFunction("preprocess", GOOD).is_ours
    assert not ServiceFunction("preprocess", "# turnout: postprocess\n" + GOOD).is_ours
    assert not ServiceFunction("preprocess", "").is_ours
    by_hand = ServiceFunction("preprocess", "# turnout: preprocess\n" + GOOD)
    assert by_hand.is_ours
    assert not by_hand.is_edited


def test_files_know_their_digests() -> None:
    """Rows count only where there is a function before the model; taking a function away takes its digest away."""
    first, last = (ServiceFunction.of(name, "digits", GOOD) for name in ("preprocess", "postprocess"))
    files = ServiceFiles().having("postprocess", last, "[1]")
    assert list(files.digests) == ["postprocess"]
    files = files.having("preprocess", first)
    assert list(files.digests) == ["preprocess", "postprocess", "rows"]
    assert files.get("preprocess") == first
    assert not files.having("preprocess", None).having("postprocess", None)
