"""How a project is watched: the tables of the project file, and each mistake in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import BadProject
from pipelines.project import read_project
from pipelines.values.alerts import AlertKind, Alerts
from pipelines.values.monitoring import Monitoring, Ports


def read(root: Path, text: str) -> Monitoring:
    """The ports of a project file."""
    (root / "pyproject.toml").write_text(f"[tool.turnout]\n{text}", encoding="utf-8")
    return read_project(root).monitoring


def refusal(root: Path, text: str) -> str:
    """What is said of a wrong file."""
    with pytest.raises(BadProject) as caught:
        read(root, text)
    return str(caught.value)


def test_ports_are_derived_from_the_gateways(tmp_path: Path) -> None:
    """Two projects do not meet; where there is no room above, they lie below."""
    assert read(tmp_path, "port = 3000").beside(3000) == Ports(13000, 13001, 13002)
    assert Monitoring().beside(60000) == Ports(50000, 49999, 49998)


def test_ports_are_read(tmp_path: Path) -> None:
    """0 is for no samples; the others keep theirs."""
    found = read(tmp_path, "[tool.turnout.monitoring]\nport = 0\nprometheus = 9090\nalertmanager = 9093")
    assert found.beside(3000) == Ports(0, 9090, 9093)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("monitoring = 3", "tool.turnout.monitoring is 3"),
        ("[tool.turnout.monitoring]\nport = 70000", "monitoring.port is 70000; it must be a whole number"),
        ("[tool.turnout.monitoring]\nprometheus = 0", "monitoring.prometheus is 0; it must be a whole number"),
        ("[tool.turnout.monitoring]\nports = 1", "monitoring.ports is not known .did you mean port"),
        ("[tool.turnout.monitoring]\nport = 3000", "monitoring.port is 3000, the port of the gateway too"),
        (
            "[tool.turnout.monitoring]\nprometheus = 9090\nalertmanager = 9090",
            "monitoring.alertmanager is 9090, the port of prometheus too",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    """With the key, what stands there, and what is allowed."""
    found = refusal(tmp_path, text).replace("(", ".")
    assert said in found


def alerts(root: Path, text: str) -> Alerts:
    """Who is told, by a project file."""
    (root / "pyproject.toml").write_text(f"[tool.turnout.alerts]\n{text}", encoding="utf-8")
    return read_project(root).alerts


def test_alerts_are_read(tmp_path: Path) -> None:
    """All events unless some are named; nobody is told unless there is an address."""
    assert alerts(tmp_path, "") == Alerts()
    assert not alerts(tmp_path, "").wants(AlertKind.ROLLBACK)
    found = alerts(tmp_path, 'urls = ["$A", "mailto://x"]\nevents = ["drift"]\nquiet_minutes = 5')
    assert found == Alerts(("$A", "mailto://x"), frozenset({AlertKind.DRIFT}), 5.0)
    assert found.wants(AlertKind.DRIFT)
    assert found.wants(AlertKind.TEST)
    assert not found.wants(AlertKind.ROLLBACK)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('urls = "x"', "tool.turnout.alerts.urls is 'x'; it must be a list of addresses"),
        ('urls = ["$A", "anna@example.org"]', 'alerts."urls[1]" is no address'),
        ('events = ["rolback"]', "alerts.events has 'rolback' (did you mean rollback?)"),
        ("quiet_minutes = -1", "alerts.quiet_minutes is -1; it must be a number from 0"),
        ("disk_low_mb = nan", "alerts.disk_low_mb is nan"),
        ("url = 1", "alerts.url is not known (did you mean urls?)"),
    ],
)
def test_a_mistake_in_alerts_is_named(tmp_path: Path, text: str, said: str) -> None:
    """With the key, what stands there, and what is allowed."""
    with pytest.raises(BadProject) as caught:
        alerts(tmp_path, text)
    assert said in str(caught.value)


def test_an_address_is_not_repeated(tmp_path: Path) -> None:
    """It may hold a secret, and an error may end in a log."""
    with pytest.raises(BadProject) as caught:
        alerts(tmp_path, 'urls = ["my-secret"]')
    assert "my-secret" not in str(caught.value)
