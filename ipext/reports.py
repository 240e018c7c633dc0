"""A gate report as a cell shows it, when it is a cell's value by itself: `v.report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.lib.pretty import RepresentationPrinter

    from pipelines.values import GateReport

_MODULE, _NAME = "pipelines.values.gates", "GateReport"
"""By name: nothing is imported for it before there is one."""


def register(shell: InteractiveShell) -> None:
    """From now on a report is shown as its table."""
    formatters = _formatters(shell)
    formatters["text/html"].for_type_by_name(_MODULE, _NAME, _html)
    formatters["text/plain"].for_type_by_name(_MODULE, _NAME, _plain)


def unregister(shell: InteractiveShell) -> None:
    """As before."""
    for kind in ("text/html", "text/plain"):
        _formatters(shell)[kind].pop(f"{_MODULE}.{_NAME}", None)


def _formatters(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None  # noqa: S101 - every shell has one
    return shell.display_formatter.formatters


def _html(report: GateReport) -> str:
    from pipelines.views import ChecksView

    return ChecksView(report).html()


def _plain(report: GateReport, printer: RepresentationPrinter, *_: object) -> None:
    from pipelines.views import ChecksView

    printer.text(ChecksView(report).text())
