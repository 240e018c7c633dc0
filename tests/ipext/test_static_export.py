"""A notebook with views, exported to a page: what a reader without a kernel gets."""

from __future__ import annotations

import re
from html import unescape

import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.view_examples import examples


def notebook() -> NotebookNode:
    """A notebook with an output a view, as a kernel writes them."""
    cells = []
    for kind, view in examples("<b>cnn</b>").items():
        output = new_output("display_data", {"text/html": view.html(), "text/plain": view.text()})
        cells.append(new_code_cell(f"%turnout # {kind.__name__}", outputs=[output]))
    return new_notebook(cells=cells)


def words(html: str) -> str:
    """What is read on a page, without white space; the exporter writes attributes in another order."""
    return "".join(unescape(re.sub(r"<style.*?</style>|<[^>]*>", "", html, flags=re.DOTALL)).split())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_export_holds_each_view_as_it_is(theme: str) -> None:
    """In both themes; the page says which it is, and the views' rules listen to just that word."""
    body, _ = HTMLExporter(theme=theme).from_notebook_node(notebook())  # type: ignore[no-untyped-call]
    for view in examples("<b>cnn</b>").values():
        assert words(view.html()) in words(body)
    assert body.count('<div class="turnout">') == len(examples(""))
    assert "<b>cnn</b>" not in body
    is_light = "true" if theme == "light" else "false"
    assert f'<body class="jp-Notebook" data-jp-theme-light="{is_light}"' in body
    assert f'[data-jp-theme-light="{is_light}"] .turnout' in body
