"""What watches a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.values.monitoring import Server
from pipelines.views.base import View
from pipelines.views.blocks import Block, Cell, Facts, Grid, Heading, Line, Tone

_TONES = {"ready": Tone.GOOD, "starting": Tone.UNSURE, "stopped": Tone.PLAIN, "not installed": Tone.UNSURE}


@dataclass(frozen=True)
class MonitoringView(View):
    """Prometheus and Alertmanager, and where their files lie.

    Args:
        port: Where the daemon's samples are; 0 for nowhere.
        servers: The two.
        folder: Where the files lie.
    """

    port: int
    servers: Sequence[Server]
    folder: str

    def blocks(self) -> Sequence[Block]:
        """A row each, the places, and what to do about one that is missing."""
        rows = [
            [
                Cell(one.name),
                Cell(one.state, _TONES[one.state], is_badge=True),
                Cell(f"127.0.0.1:{one.port}"),
                Cell(str(one.pid or "-"), is_number=True),
            ]
            for one in self.servers
        ]
        missing = [one for one in self.servers if one.path is None]
        stopped = [one for one in self.servers if one.state == "stopped"]
        says: list[Block] = []
        if not self.port:
            says.append(
                Line("The daemon has no port for samples: `port` is 0 in [tool.turnout.monitoring].", Tone.UNSURE)
            )
        if missing:
            names = " ".join(one.package for one in missing)
            says += [
                Line(f"`apt-get install {names}` installs what is missing on Debian; then `turnout monitoring up`."),
                Line("A Prometheus of your own can read the files: by `--config.file`, or by their parts."),
            ]
        if stopped:
            says.append(Line(f"`turnout monitoring up` starts {' and '.join(one.name for one in stopped)}."))
        places = Facts(
            (
                ("samples", f"127.0.0.1:{self.port}/metrics" if self.port else "none"),
                ("files", self.folder),
                ("for Grafana", f"GF_PATHS_PROVISIONING={self.folder}/grafana/provisioning"),
            )
        )
        return [Heading("Monitoring"), Grid(("server", "", "answers at", "PID"), rows), places, *says]

    def document(self) -> Mapping[str, Any]:
        """`port`, `folder` and `servers`, each with its state."""
        servers = [{**asdict(one), "state": one.state} for one in self.servers]
        return {"port": self.port, "folder": self.folder, "servers": servers}
