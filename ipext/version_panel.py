"""The versions of a model, to be filtered, sorted and compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipywidgets import Button, Dropdown, HBox, Layout, Text, VBox

from ipext.widgets import fragment, told_in
from pipelines.errors import BadInput
from pipelines.values import Verdict, VersionSpec
from pipelines.views.lists import main_metrics, metric

if TYPE_CHECKING:
    from pipelines.app import App
    from pipelines.values import ModelVersion
    from pipelines.views import VersionsView

_NEWEST = "the newest first"
_VERDICTS = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, None]


def panel(view: VersionsView, app: App) -> VBox:
    """The table with a filter, an order, and two versions to compare; the table alone when there are fewer than two."""
    table = fragment(view)
    if len(view.versions) < 2:
        return VBox([table])
    words = Text(placeholder="PASS champion epochs=8", description="Filter", continuous_update=True)
    orders = _orders(view)
    order = Dropdown(options=list(orders), description="Order")
    problem, difference = fragment(), fragment()
    refs = [str(version.ref) for version in view.versions]
    left = Dropdown(options=refs, value=refs[1], description="Compare")
    right = Dropdown(options=refs, value=refs[0], description="with", style={"description_width": "2.5em"})
    compare = Button(description="Show what differs", icon="columns", layout=Layout(width="auto"))

    @told_in(problem)
    def arrange(change: object) -> None:
        del change
        found = [version for version in view.versions if _has_words(view, version, words.value)]
        if not found:
            raise BadInput(f"no version of {view.model} has {words.value!r}", then="Clear the filter to see all.")
        key, is_falling = orders[order.value]
        if key is not None:
            found.sort(key=key, reverse=is_falling)
        table.value = replace(view, versions=found).html()

    @told_in(problem)
    def show(button: object) -> None:
        del button
        difference.value = ""
        compare.disabled = True
        try:
            difference.value = app.diff(VersionSpec.parse(left.value), VersionSpec.parse(right.value)).html()
        finally:
            compare.disabled = False

    words.observe(arrange, names="value")
    order.observe(arrange, names="value")
    compare.on_click(show)
    for name, control in {"filter": words, "order": order, "left": left, "right": right, "compare": compare}.items():
        control.add_class(f"turnout-versions-{name}")
    row = Layout(flex_flow="row wrap")
    return VBox(
        [HBox([words, order], layout=row), table, HBox([left, right, compare], layout=row), problem, difference]
    )


_Key = Callable[["ModelVersion"], Any]


def _orders(view: VersionsView) -> dict[str, tuple[_Key | None, bool]]:
    """Names of orders, with what they sort by and whether it falls."""
    orders: dict[str, tuple[_Key | None, bool]] = {
        _NEWEST: (None, False),
        "the oldest first": (lambda version: version.ref.number, False),
        "by verdict": (lambda version: _VERDICTS.index(version.verdict), False),
    }
    for name in main_metrics(view.versions):
        orders[f"{name}, the highest first"] = (_by(name, -1.0), False)
        orders[f"{name}, the lowest first"] = (_by(name, 1.0), False)
    return orders


def _by(name: str, sign: float) -> _Key:
    def key(version: ModelVersion) -> tuple[bool, float]:
        value = metric(version, name)
        # What has no number comes last, whichever way the others go.
        is_missing = value is None or math.isnan(value)
        return is_missing, 0.0 if value is None or is_missing else sign * value

    return key


def _has_words(view: VersionsView, version: ModelVersion, words: str) -> bool:
    """Whether each of the words stands somewhere in what the table says of the version."""
    parameters = " ".join(f"{name}={value}" for name, value in version.parameters.items())
    flavour = version.package.flavour if version.package else ""
    said = f"{version.ref} {version.verdict or ''} {view.marks(version)} {parameters} {flavour}".lower()
    return all(word in said for word in words.lower().split())
