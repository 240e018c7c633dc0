"""A page with executed notebooks: it loads nothing from elsewhere, and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipelines.adapters.notebook_page import Shown, cleaned, write_page
from pipelines.errors import StorageFailed

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Loads(HTMLParser):
    """Collects whatever a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes that load, and handlers."""
        self.tags.add(tag)
        for name, value in attrs:
            text = (value or "").strip().lower()
            is_loaded = name in ("src", "srcset", "data", "poster", "action", "xlink:href")
            is_loaded |= name == "href" and tag != "a"
            if name.startswith("on") or (is_loaded and not text.startswith(("data:", "#"))):
                self.found.append(f"{tag} {name}={value}")
            if name == "style" and "url(" in text and "url(data:" not in text:
                self.found.append(f"{tag} style={value}")


def loads(html: str) -> Loads:
    """What a page fetches."""
    read = Loads()
    read.feed(html)
    read.close()
    return read


@pytest.mark.parametrize(
    "bad",
    [
        "<script src='https://cdn.example/require.js'></script>",
        "<script>fetch('https://a.example')</script>",
        "<img src='https://a.example/x.png'>",
        "<img src=//a.example/x.png>",
        "<img src='file:///etc/passwd'>",
        "<img src='x.png' onerror='alert(1)'>",
        "<IMG SRCSET='https://a.example/x.png 2x'>",
        "<link rel=stylesheet href='https://a.example/x.css'>",
        "<base href='https://a.example/'>",
        "<meta http-equiv=refresh content='0;url=https://a.example'>",
        "<iframe src='https://a.example'><p>x</p></iframe>",
        "<object data='https://a.example/x'></object>",
        "<video poster='https://a.example/x.png'></video>",
        "<form action='https://a.example'><input></form>",
        "<p style='background:url(https://a.example/x)'>x</p>",
        "<style>@import 'https://a.example/x.css'; p{background:url( \"https://a.example/y\" )}</style>",
        "<svg><image xlink:href='https://a.example/x.png'/><use href='https://a.example/#a'/></svg>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' java\nscript:alert(1)'>x</a>",
        "<scr<script>ipt src='https://a.example'></script>",
    ],
)
def test_nothing_is_loaded_and_nothing_runs(bad: str) -> None:
    """Whatever an output or a Markdown cell holds; what stands behind it is there still."""
    kept = cleaned(f"<p>before</p>{bad}<p>behind</p>")
    read = loads(kept)
    assert read.found == []
    assert not read.tags & {"script", "iframe", "object", "link", "base", "meta", "form"}
    assert "javascript" not in re.sub(r"\s", "", kept.lower())
    assert not re.search(r"url\((?!data:)|@import", kept)
    assert "<p>before</p>" in kept
    assert "<p>behind</p>" in kept


def test_what_is_harmless_stays() -> None:
    """Pictures in the page, links to follow, entities, and styles of tables."""
    good = (
        f'<p title="a &amp; b">x &lt; y &#169;</p><img src="data:image/png;base64,{PIXEL}">'
        '<a href="https://a.example/paper">paper</a><a href="#top">up</a>'
        '<style>td{color:red}</style><svg><use href="#a"/></svg>'
    )
    assert cleaned(good) == good


def test_a_page_has_all_notebooks_and_asks_for_nothing(tmp_path: Path) -> None:
    """Formulas, widgets and scripts included: neither MathJax nor require.js nor anything else is fetched."""
    outputs = [
        new_output("display_data", {"image/png": PIXEL, "text/plain": "figure"}),
        new_output("display_data", {"text/html": "<b>bold</b><script src='https://cdn.plot.ly/plotly.js'></script>"}),
        new_output("stream", name="stdout", text="<loss> 0.25 & falling"),
        new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[0m: no"]),
    ]
    (tmp_path / "near.png").write_bytes(b"\x89PNG near")
    cells = [
        new_markdown_cell("# Train $x^2$ ![](near.png) ![](https://a.example/far.png)\n```mermaid\ngraph TD\n```"),
        new_code_cell("model.fit(x)", outputs=outputs),
    ]
    notebook = new_notebook(cells=cells, metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {}}})
    nbformat.write(notebook, tmp_path / "train.ipynb")
    page = tmp_path / "out" / "report.html"
    shown = [Shown("train <1>", tmp_path / "train.ipynb", tmp_path), Shown("gone", tmp_path / "no.ipynb", tmp_path)]
    write_page(page, "Tests of <digits>", "<p>7 passed</p>", shown)
    html = page.read_text(encoding="utf-8")
    read = loads(html)
    assert read.found == []
    assert "script" not in read.tags
    assert "default-src 'none'" in html
    assert not re.search(r"mathjax|require\.js|cdn", html, re.I)
    for said in ("7 passed", "train &lt;1&gt;", "model", "&lt;loss&gt; 0.25 &amp; falling", "<b>bold</b>", PIXEL[:40]):
        assert said in html, said
    assert "ValueError" in html
    assert "gone" not in html
    assert html.count("data:image/png;base64,") == 2
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """One error that names it, and nothing half is left."""
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageFailed, match=r"report\.html"):
        write_page(tmp_path / "out" / "report.html", "x", "", [])
