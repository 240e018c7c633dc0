"""Executed notebooks on one page that needs nothing from elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

from pipelines.errors import StorageFailed

# Whatever slips through the clean-up below: a browser loads nothing from elsewhere and runs nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"
_STYLE = """body{font:15px/1.55 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1f2328;
background:#fff}
pre{font:13px/1.45 ui-monospace,monospace;overflow-x:auto;margin:0}
section{border-top:1px solid #d0d7de;margin-top:2.5em}
.input_prompt,.output_prompt,.prompt,.anchor-link{display:none}
.highlight{background:#f6f8fa;border:1px solid #d0d7de;border-radius:4px;padding:.6em .8em;margin:.8em 0 .3em}
.output_area{margin:.3em 0 .3em .8em;overflow-x:auto}.output_error pre{color:#b42318}
img{max-width:100%}table.dataframe{border-collapse:collapse}table.dataframe td,table.dataframe th{padding:.2em .7em;
border-bottom:1px solid #d0d7de;text-align:right}"""
_GONE = frozenset({"script", "iframe", "object", "embed", "applet", "frame", "frameset", "noscript", "template"})
"""With all they hold."""
_BARE = frozenset({"link", "meta", "base", "form", "html", "head", "body", "title"})
"""Without what they hold, which stays."""
_LOADS = frozenset(
    {"src", "srcset", "poster", "background", "data", "lowsrc", "action", "formaction", "ping", "manifest"}
)
_FOLLOWED = frozenset({"href", "xlink:href"})
_INSIDE = re.compile(r"^\s*(?:data:|#)", re.I)
_CSS_LOADS = re.compile(r"@import[^;]*;?|url\(\s*(?!['\"]?(?:data:|#))[^)]*\)|image-set\([^)]*\)", re.I)
_VOID = frozenset({"br", "hr", "img", "input", "col", "wbr", "source", "area", "track"})


@dataclass(frozen=True, slots=True)
class Shown:
    """An executed notebook on a page.

    Args:
        title: What stands over it.
        file: The executed notebook; left out when it is not there.
        folder: Where pictures lie that its Markdown names.
    """

    title: str
    file: Path
    folder: Path


def write_page(path: Path, title: str, head: str, notebooks: Sequence[Shown]) -> None:
    """Write the page, whole or not at all.

    Args:
        path: Where.
        title: Its title.
        head: HTML that stands first; ours, and harmless.
        notebooks: What stands below.

    Raises:
        StorageFailed: the disk is full or read-only.
    """
    parts = [
        f"<section><h2>{html.escape(each.title)}</h2>\n{_fragment(each.file, each.folder)}\n</section>"
        for each in notebooks
        if each.file.is_file()
    ]
    page = _page(title, head, parts)
    half = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            half.write_bytes(page.encode("utf-8", "replace"))
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed.from_os(error, f"writing the report {path}") from error


def _page(title: str, head: str, parts: Sequence[str]) -> str:
    from pygments.formatters import HtmlFormatter

    colours = HtmlFormatter().get_style_defs(".highlight")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{html.escape(title)}</title><style>{colours}\n{_STYLE}</style></head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{head}\n{''.join(parts)}\n</body></html>\n"
    )


def _fragment(file: Path, folder: Path) -> str:
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", embed_images=True)
    notebook = nbformat.read(file, as_version=4)
    # Without a script no widget comes alive, and what is stored of one may be half.
    notebook.metadata.pop("widgets", None)
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"path": str(folder), "name": file.stem}})
    return cleaned(body)


def cleaned(text: str) -> str:
    """HTML without anything that runs or is loaded from elsewhere; links that a reader may follow stay."""
    reader = _Cleaner()
    reader.feed(text)
    reader.close()
    return "".join(reader.kept)


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.kept: list[str] = []
        self._gone: list[str] = []
        self._is_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _GONE:
            self._gone.append(tag)
        elif not self._gone and tag not in _BARE:
            self._is_style = tag == "style"
            self.kept.append(f"<{tag}{self._attributes(tag, attrs)}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._gone and tag not in _GONE | _BARE:
            self.kept.append(f"<{tag}{self._attributes(tag, attrs)}/>")

    def handle_endtag(self, tag: str) -> None:
        if self._gone:
            if tag == self._gone[-1]:
                self._gone.pop()
        elif tag not in _GONE | _BARE | _VOID:
            self._is_style = False
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._gone:
            self.kept.append(_css(data) if self._is_style else data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        kept = []
        for name, value in attrs:
            if not re.fullmatch(r"[A-Za-z_:][-\w:.]*", name) or name.startswith("on"):
                continue
            text = value or ""
            if name in _LOADS and not _INSIDE.match(text):
                continue
            if name in _FOLLOWED and not (_INSIDE.match(text) or (tag == "a" and _is_followed(text))):
                continue
            text = _css(text) if name not in _FOLLOWED | _LOADS else text
            kept.append(f' {name}="{html.escape(text)}"')
        return "".join(kept)


def _is_followed(address: str) -> bool:
    """Whether it is a link that a person may follow."""
    bare = re.sub(r"[\x00-\x20]", "", address).lower()
    return bare.startswith(("http://", "https://", "mailto:")) or ":" not in bare.partition("/")[0]


def _css(text: str) -> str:
    return _CSS_LOADS.sub("", text)
