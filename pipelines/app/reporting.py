"""Reports of a shipment: what is noted meanwhile, and written at its end, whatever comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import StorageFailed, TurnoutError

if TYPE_CHECKING:
    from pipelines.ports import Ports
    from pipelines.stages.ship import Shipped
    from pipelines.stages.ship_report import ShipReport
    from pipelines.values import Project


@dataclass(frozen=True, slots=True)
class Reporting:
    """Which reports are asked for; paths as they were typed.

    Args:
        markdown: For a pull request.
        junit: For continuous integration.
    """

    markdown: str | None = None
    junit: str | None = None

    @contextmanager
    def on(
        self, project: Project, model: str, ports: Ports, home: Path
    ) -> Iterator[tuple[Ports, Callable[[Shipped], None]]]:
        """Around a shipment: gives the ports to ship with, and what to tell of its progress.

        Raises:
            BadInput, StorageFailed: nothing can be written there; the shipment has not begun.
            StorageFailed: it could not be written at the end. An error of the shipment itself goes first.
        """
        if self.markdown is None and self.junit is None:
            yield ports, lambda _: None
            return
        from pipelines.stages.ship_report import NotedExecutions, report
        from pipelines.wiring import local_report_folder

        folder = local_report_folder(*(home / path if path else None for path in (self.markdown, self.junit)))
        folder.clear()
        noted, begun = NotedExecutions(ports.executions), time.monotonic()
        last: list[Shipped | None] = [None]
        took: dict[str, float] = {}

        def note(shipped: Shipped) -> None:
            last.append(shipped)
            took.setdefault(shipped.steps[-1].stage, time.monotonic() - begun - sum(took.values()))

        def write(error: TurnoutError | None) -> None:
            told = report(project, model, last[-1], error, noted, ports, time.monotonic() - begun, took)
            files, pictures = folder.keep(told.notebooks, _gates(told))
            folder.write(*_rendered(told, files, pictures))

        try:
            yield replace(ports, executions=noted), note
        except TurnoutError as error:
            with suppress(StorageFailed):
                write(error)
            raise
        write(None)


def _gates(told: ShipReport) -> dict[str, object]:
    shipped = told.shipped
    return {
        "model": told.model,
        "version": str(shipped.version.ref) if shipped else None,
        "champion": str(told.rival.ref) if told.rival else None,
        "ok": told.is_good,
        "error": told.error.as_dict() if told.error else None,
        "checks": [check.as_dict() for check in told.checks],
    }


def _rendered(told: ShipReport, files: dict[str, str], pictures: list[tuple[str, str]]) -> tuple[str, str]:
    from pipelines.views.junit import junit_xml
    from pipelines.views.markdown import report_markdown

    return report_markdown(told, files, pictures), junit_xml(told)


NOT_REPORTED = Reporting()
