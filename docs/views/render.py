"""Writes each view as a page and takes its picture, light and dark, with a headless Chromium.

`python -m docs.views.render` takes those of docs/views.md; with a folder behind it, those of all views into that one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipelines.views import View
from tests.view_examples import examples

HERE = Path(__file__).parent
SHOWN = ("ReportView", "VersionsView", "DeploymentView", "DiffView", "HistoryView", "ShipView")
"""Those that docs/views.md shows."""
_WIDTH, _HEIGHT = 900, 1600
"""Of the window, in pixels; what stays empty below is cut off."""
_COLORS = 200
_PAPER = {"light": ("#ffffff", "#1f2328"), "dark": ("#111317", "#e6e8eb")}
"""Paper and ink, as JupyterLab's two themes have them."""


def page(view: View, theme: str) -> str:
    """A page with the view alone, marked as JupyterLab marks its own."""
    paper, ink = _PAPER[theme]
    is_light = "true" if theme == "light" else "false"
    head = f'<html lang="en" style="background:{paper}"><head><meta charset="utf-8"><title>Turnout</title></head>'
    body = f'<body data-jp-theme-light="{is_light}" style="margin:16px;color:{ink}">{view.html()}</body>'
    return f"<!doctype html>{head}{body}</html>"


def picture(html: Path, png: Path) -> None:
    """Take the picture of a page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium; on Debian `apt-get install chromium` brings one.")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(  # noqa: S603 - our own page, in a browser that was looked up
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={_WIDTH},{_HEIGHT}",
                f"--screenshot={png}",
                html.absolute().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def trim(png: Path) -> None:
    """Cut off the empty paper at the end, and keep as many colours as one can tell apart."""
    from PIL import Image, ImageChops

    with Image.open(png) as image:
        whole = image.convert("RGB")
    paper = Image.new("RGB", whole.size, whole.getpixel((0, whole.height - 1)))
    box = ImageChops.difference(whole, paper).getbbox()
    end = min(whole.height, (box[3] if box else 0) + 16)
    whole.crop((0, 0, _WIDTH, end)).quantize(_COLORS).save(png, optimize=True)


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as pages:
        for kind, view in examples("cnn").items():
            name = kind.__name__.removesuffix("View").lower()
            if folder == HERE and kind.__name__ not in SHOWN:
                continue
            for theme in _PAPER:
                html, png = Path(pages) / f"{name}-{theme}.html", folder / f"{name}-{theme}.png"
                html.write_text(page(view, theme), encoding="utf-8")
                picture(html, png)
                trim(png)


if __name__ == "__main__":
    main()
