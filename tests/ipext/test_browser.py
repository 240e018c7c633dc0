"""JupyterLab in a real browser: the live panel, its slider, and the way back."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import BODY, RunningLine, running_line
from tests.ipext.browser import CHROMIUM, THEME, jupyterlab, page_of, run_all, until, write_notebook

PICTURES = os.environ.get("TURNOUT_PICTURES")
"""A folder for pictures of the panel, for docs/views."""

pytestmark = [
    pytest.mark.apt,
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A project with a champion and a canary, and a notebook that looks at them."""
    with running_line(tmp_path_factory.mktemp("browser") / "project") as one:
        one.deploy(1)
        one.deploy(2, 10)
        write_notebook(one.root)
        yield one


@pytest.fixture(scope="module")
def lab(line: RunningLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on that folder; its address."""
    with jupyterlab(line.root, tmp_path_factory.mktemp("jupyter")) as address:
        yield address


def answered(line: RunningLine, count: int) -> set[str]:
    """Which versions answer so many requests."""
    found = set()
    for _ in range(count):
        request = urllib.request.Request(line.url(), BODY.encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            body = json.load(reply)
            found.add(f"{body['model']}@{body['version']}")
    return found


def picture(page: Any, name: str) -> None:
    """The panel as it looks now, where pictures are wanted."""
    if PICTURES:
        page.locator(".jp-OutputArea .turnout-monitor").screenshot(path=Path(PICTURES) / f"{name}.png")


def test_from_the_panel_forward_and_back(line: RunningLine, lab: str) -> None:
    """The slider moves the canary's share, Roll back asks once and goes back: in the page and at the endpoint."""
    assert answered(line, 150) == {"digits@1", "digits@2"}
    with page_of(lab) as page:
        panel = run_all(page)
        picture(page, f"monitor-{THEME}")

        handle = panel.locator(".turnout-monitor-share .noUi-handle")
        handle.focus()
        handle.press("ArrowRight")
        until(lambda: line.weights() == {"digits@1": 89, "digits@2": 11}, "the share of the slider")
        panel.get_by_text("digits@2 to 11 %: done").wait_for()
        panel.locator("td").get_by_text("11 %", exact=True).wait_for()

        panel.locator(".turnout-monitor-rollback").click()
        assert line.weights() == {"digits@1": 89, "digits@2": 11}, "nothing moves before it is confirmed"
        panel.locator(".turnout-monitor-reason input").fill("seen in the browser")
        panel.locator(".turnout-monitor-confirm").click()
        until(lambda: line.weights() == {"digits@1": 100}, "the way back")
        panel.get_by_text("roll digits back: done").wait_for()
        panel.locator("td").get_by_text("100 %", exact=True).wait_for()
    assert answered(line, 50) == {"digits@1"}
    (rolled_back,) = [one for one in line.control.operator.history("digits") if one["action"] == "rollback"]
    assert rolled_back["reason"] == "seen in the browser"
