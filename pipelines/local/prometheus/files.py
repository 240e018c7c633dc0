"""Writes what Prometheus, Alertmanager and Grafana read, below `.turnout/monitoring`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import MissingExtra
from pipelines.local.files import replace_file
from pipelines.local.prometheus.dashboards import dashboard_json
from pipelines.local.prometheus.panels import BOARDS
from pipelines.local.prometheus.rules import alert_rules, recording_rules
from pipelines.values.monitoring import Ports

DATASOURCE = "turnout"
PAGES = {
    "turnout-daemon": "/metrics",
    "turnout-hosts": "/metrics/hosts",
    "turnout-gateway": "/metrics/gateway",
}
"""Prometheus' jobs, and what each asks for."""

_MADE = "# Written by `turnout monitoring up`, anew each time.\n"
_YOURS = (
    "# Written once by `turnout monitoring up`: it is yours, add receivers here. Reading it: amtool check-config.\n"
)


@dataclass(frozen=True)
class Files:
    """Where they lie.

    Args:
        folder: `.turnout/monitoring`.
    """

    folder: Path

    @property
    def prometheus(self) -> Path:
        """Prometheus' configuration."""
        return self.folder / "prometheus.yml"

    @property
    def alertmanager(self) -> Path:
        """Alertmanager's configuration."""
        return self.folder / "alertmanager.yml"

    @property
    def grafana(self) -> Path:
        """The folder that Grafana is to take for its provisioning."""
        return self.folder / "grafana" / "provisioning"

    @property
    def rules(self) -> tuple[Path, Path]:
        """Recording and alert rules."""
        return self.folder / "rules" / "recording.yml", self.folder / "rules" / "alerts.yml"

    @property
    def dashboards(self) -> Path:
        """The folder of the dashboards."""
        return self.folder / "grafana" / "dashboards"

    def write(self, project: str, ports: Ports, interval: int) -> None:
        """Write all of them; of Alertmanager's configuration only one that is missing.

        Args:
            project: Its name, a label of every sample.
            ports: Who answers where.
            interval: Seconds between two looks.

        Raises:
            MissingExtra: what makes them is not installed.
            StorageFailed: the disk is full or read-only.
        """
        recording, alerts = self.rules
        texts = {
            self.prometheus: _yaml(_prometheus(project, ports, interval)),
            recording: _yaml(recording_rules()),
            alerts: _yaml(alert_rules()),
            self.grafana / "datasources" / "turnout.yml": _yaml(_datasource(ports)),
            self.grafana / "dashboards" / "turnout.yml": _yaml(_provider(self.dashboards.absolute())),
            **{self.dashboards / f"{board.name}.json": dashboard_json(board, DATASOURCE) for board in BOARDS},
        }
        if not self.alertmanager.exists():
            texts[self.alertmanager] = _yaml(_alertmanager(), _YOURS)
        for path, text in texts.items():
            replace_file(path, text, "writing the configuration of the monitoring")


def _prometheus(project: str, ports: Ports, interval: int) -> dict[str, Any]:
    target = f"127.0.0.1:{ports.port}"
    jobs = [
        {
            "job_name": name,
            "metrics_path": path,
            "static_configs": [{"targets": [target], "labels": {"project": project}}],
        }
        for name, path in PAGES.items()
    ]
    manager = {"static_configs": [{"targets": [f"127.0.0.1:{ports.alertmanager}"]}]}
    return {
        "global": {"scrape_interval": f"{interval}s", "evaluation_interval": f"{interval}s"},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [manager]},
        "scrape_configs": jobs,
    }


def _alertmanager() -> dict[str, Any]:
    return {
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname", "model"],
            "group_wait": "10s",
            "repeat_interval": "4h",
        },
        "receivers": [{"name": "nobody"}],
        # While the gateway is down, all that follows from it is one alert.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname = "TurnoutGatewayDown"'],
                "target_matchers": ['alertname =~ "TurnoutNoTraffic|TurnoutAnswersFail"'],
            }
        ],
    }


def _datasource(ports: Ports) -> dict[str, Any]:
    source = {
        "name": "Turnout",
        "uid": DATASOURCE,
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://127.0.0.1:{ports.prometheus}",
        "isDefault": True,
    }
    return {"apiVersion": 1, "datasources": [source]}


def _provider(folder: Path) -> dict[str, Any]:
    provider = {"name": "Turnout", "folder": "Turnout", "type": "file", "options": {"path": str(folder)}}
    return {"apiVersion": 1, "providers": [provider]}


def _yaml(content: Mapping[str, Any], head: str = _MADE) -> str:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra.of("monitoring", "yaml", "writing the configuration") from error
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=160)
    return head + text
