"""What holds for every view: well-formed HTML that takes each text literally, text that fits, JSON that is JSON.

A new view needs an example in tests/view_examples.py; without one the first test fails.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import orjson
import pytest
from rich.cells import cell_len

import pipelines.views
from pipelines.views import LogsView, PruneView, VersionsView, View
from tests.view_examples import examples

KINDS = sorted(
    (
        kind
        for kind in vars(pipelines.views).values()
        if isinstance(kind, type) and issubclass(kind, View) and kind is not View
    ),
    key=lambda kind: kind.__name__,
)
NASTY = {
    "markup": "<script>alert('x')</script>&\"</div><style>*{}</style>[bold]:smile:",
    "terminal": "a\x1b[31mred\x07\x00\rb",
    "right to left": "\u05d0\u05d1\u05d2 \u202eevil\u202c \u0627\u0644\u0639",
    "wide": "模型一号" * 5 + " 👩‍🔬",
    "long": "a reason of many words " * 90,
    "one word": "x" * 2000,
    "lines": "one\ntwo\r\nthree\n\n",
    "surrogate": "a\ud800b",
}
NO_WORDS = (PruneView,)
"""Nothing from outside is in them but numbers and names that were checked."""
OWN_WORDS = {"right to left": "\\u202eevil\\u202c", "terminal": "\\x1b[31mred"}

EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
EACH_TEXT = pytest.mark.parametrize("text", NASTY)
VOID = {"br", "hr", "img", "input", "meta", "link"}


class Page(HTMLParser):
    """Checks that every tag is closed in order and asks for nothing; collects tags, styles and words."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.styles: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It opens; every attribute is harmless."""
        assert tag not in VOID
        self.open.append(tag)
        self._look(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It is closed already."""
        self._look(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """It closes the last one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Words of the page, or rules."""
        (self.styles if self.open and self.open[-1] == "style" else self.words).append(data)

    def _look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert name not in ("src", "href", "id", "srcset", "action"), (tag, name)
            assert not name.startswith("on"), (tag, name)
            assert value is not None, (tag, name)


def page(html: str) -> Page:
    """The parsed fragment."""
    read = Page()
    read.feed(html)
    read.close()
    assert read.open == []
    return read


def flat(text: str) -> str:
    """Without white space: lines may be broken anywhere."""
    return "".join(text.split())


@EACH
def test_each_view_has_an_example(kind: type[View]) -> None:
    """tests/view_examples.py has one of the class itself."""
    assert kind in examples("word"), f"{kind.__name__} has no example"


@EACH
@EACH_TEXT
def test_html_is_well_formed_and_asks_for_nothing(kind: type[View], text: str) -> None:
    """Whatever a text holds, it opens no tag, runs nothing, and nothing is fetched."""
    html = examples(NASTY[text])[kind].html()
    read = page(html)
    assert not read.tags & {"script", "link", "img", "iframe", "object", "base", "form", "input"}
    assert "http://localhost" not in html
    assert not re.search(r"url\(|@import|expression\(", "".join(read.styles))
    assert len(read.styles) == 1
    assert "\x1b" not in html
    assert "\u202e" not in html
    html.encode()


def test_a_texts_own_markup_is_told_from_ours() -> None:
    """The check itself: markup that is not escaped is found."""
    with pytest.raises(AssertionError):
        page("<div><img></div>")
    with pytest.raises(AssertionError):
        page('<p onclick="x">a</p>')
    with pytest.raises(AssertionError):
        page("<p><b>a</p></b>")


@EACH
def test_the_style_keeps_to_its_own_fragment(kind: type[View]) -> None:
    """Every rule begins with our class: a view changes nothing else on the page, light and dark alike."""
    (style,) = page(examples("word")[kind].html()).styles
    rules = re.sub(r"@media \([^)]*\)\{((?:[^{}]*\{[^{}]*\})*)\}", r"\1", style)
    assert "@" not in rules
    selectors = [one.strip() for rule in re.findall(r"([^{}]+)\{[^{}]*\}", rules) for one in rule.split(",")]
    assert len(selectors) > 20
    themes = r'(\[data-jp-theme-light="(true|false)"\] |\.vscode-(light|dark) )?'
    assert [one for one in selectors if not re.match(themes + r"\.turnout[ .]?", one)] == []
    assert "prefers-color-scheme:dark" in style


@EACH
def test_html_reads_without_its_style(kind: type[View]) -> None:
    """A code host takes styles, classes and drawings away: the words are all there, in order, none run together."""
    html = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", examples("zebra7")[kind].html(), flags=re.DOTALL)
    bare = re.sub(r' (class|style)="[^"]*"', "", html)
    assert "zebra7" in "".join(page(bare).words) or kind in NO_WORDS
    assert "{" not in "".join(page(bare).words)


@EACH
@EACH_TEXT
@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_fits(kind: type[View], text: str, width: int) -> None:
    """No line is wider than the terminal, none ends in spaces, none steers it."""
    if kind is LogsView:
        # A line a message, as it was written, for grep.
        return
    said = examples(NASTY[text])[kind].text(width)
    lines = said.splitlines()
    assert said.strip()
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert max(map(cell_len, lines)) <= width


@EACH
@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_loses_nothing_that_matters(kind: type[View], width: int) -> None:
    """A word that came from outside arrives at every width."""
    said = examples("zebra7")[kind].text(width)
    # The table of versions leaves out parameters before the verdicts, and says them where there is room.
    assert "zebra7" in flat(said) or kind is VersionsView or kind in NO_WORDS


@EACH
@EACH_TEXT
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_text_can_be_written_to_any_stream(kind: type[View], text: str, encoding: str) -> None:
    """What the stream cannot write is drawn, or spelled, in other characters."""
    examples(NASTY[text])[kind].text(80, encoding=encoding).encode(encoding)


@EACH
@EACH_TEXT
def test_json_is_serialisable(kind: type[View], text: str) -> None:
    """By the library that prints it, with the text as it was."""
    view = examples(NASTY[text])[kind]
    if text == "surrogate":
        # No JSON can hold half a character; a file name may.
        return
    told = orjson.loads(orjson.dumps(view.json()))
    assert told
    # A changed line of code stands there line by line.
    is_whole = len(NASTY[text].splitlines()) == 1
    assert not is_whole or kind in NO_WORDS or orjson.dumps(NASTY[text])[1:-1] in orjson.dumps(told)


@EACH
@pytest.mark.parametrize("text", sorted(OWN_WORDS))
def test_what_would_steer_is_spelled_out(kind: type[View], text: str) -> None:
    """Control characters and turned lines are seen as such, in text and in HTML."""
    view = examples(NASTY[text])[kind]
    assert flat(OWN_WORDS[text]) in flat("".join(page(view.html()).words)) or kind in NO_WORDS
    if kind not in NO_WORDS and kind not in (VersionsView, LogsView):
        assert "evil" in flat(view.text(120)) or "red" in flat(view.text(120))
