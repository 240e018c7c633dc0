"""What the dashboards show: queries and their names, before anything of Grafana."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """One panel.

    Args:
        title: What it shows.
        query: PromQL; `$model` is the model that is chosen above.
        legend: The name of a line, from its labels.
        unit: Grafana's name of the unit.
        is_number: Whether the latest value is shown, and no line.
        says: What to read from it.
        rare: Why a sound run has no such samples: who adds them; empty for what is always there.
    """

    title: str
    query: str
    legend: str
    unit: str = "short"
    is_number: bool = False
    says: str = ""
    rare: str = ""


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Args:
        name: Its file, and the end of its id.
        title: Its title.
        rows: Titles of rows, each with its panels.
        by_model: Whether a model is chosen above.
    """

    name: str
    title: str
    rows: Sequence[tuple[str, Sequence[Chart]]]
    by_model: bool = False

    @property
    def charts(self) -> list[Chart]:
        """All panels."""
        return [chart for _, charts in self.rows for chart in charts]


_REF = "{{model}}@{{version}}"
_OF = '{model="$model"}'

OVERVIEW = Board(
    "overview",
    "Turnout: all models",
    (
        (
            "Now",
            (
                Chart("Models that serve", 'count(turnout_model_phase{phase!="empty"} == 1)', "models", is_number=True),
                Chart("Requests", "sum(turnout:requests:rate1m)", "requests", "reqps", is_number=True),
                Chart("Answers that are 5xx", "turnout:answers_5xx:ratio1m", "5xx", "percentunit", is_number=True),
                Chart("Rollbacks", "sum(turnout_rollbacks_total)", "rollbacks", is_number=True),
                Chart("Hosts that answer", "sum(turnout_host_up)", "hosts", is_number=True),
                Chart(
                    "Free disk",
                    "turnout_disk_free_bytes / turnout_disk_size_bytes",
                    "free",
                    "percentunit",
                    is_number=True,
                ),
            ),
        ),
        (
            "Traffic",
            (
                Chart("Requests by version", "turnout:requests:rate1m", _REF, "reqps"),
                Chart(
                    "Answers by code",
                    "sum by (code) (rate(turnout_gateway_answers_total[1m]))",
                    "{{code}}",
                    "reqps",
                    says="At the public port: what clients got, the gateway's own refusals too.",
                ),
                Chart("Seconds at the public port, p50", "turnout:gateway_seconds:p50", "p50", "s"),
                Chart("Seconds at the public port, p95", "turnout:gateway_seconds:p95", "p95", "s"),
                Chart("Seconds at the public port, p99", "turnout:gateway_seconds:p99", "p99", "s"),
                Chart("Phase", "turnout_model_phase == 1", "{{model}}: {{phase}}"),
            ),
        ),
        (
            "This machine",
            (
                Chart("Memory of the hosts", "turnout_version_memory_bytes", _REF, "bytes"),
                Chart("Memory of the daemon", "turnout_daemon_process_resident_memory_bytes", "daemon", "bytes"),
                Chart(
                    "Daemon and gateway answer", 'sum(up{job="turnout-daemon"}) + sum(turnout_gateway_up)', "2 is both"
                ),
                Chart("Alerts", 'count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}", rare="an alert"),
            ),
        ),
    ),
)

VERSIONS = Board(
    "versions",
    "Turnout: the versions of a model",
    (
        (
            "Answers",
            (
                Chart("Requests by version", f"turnout:requests:rate1m{_OF}", _REF, "reqps"),
                Chart(
                    "Failed at the first attempt",
                    f"turnout:failures:ratio1m{_OF}",
                    _REF,
                    "percentunit",
                    says="Another version may have answered them: clients need not have seen it.",
                ),
                Chart(
                    "Requests by outcome",
                    f"sum by (version, outcome) (rate(turnout_requests_total{_OF}[1m]))",
                    "@{{version}} {{outcome}}",
                    "reqps",
                ),
                Chart(
                    "Answers by code",
                    f"sum by (version, purpose, code) (rate(turnout_gateway_requests_total{_OF}[1m]))",
                    "@{{version}} {{purpose}} {{code}}",
                    "reqps",
                ),
                Chart(
                    "Quality by later labels",
                    f"turnout_version_quality{_OF}",
                    "@{{version}} {{kind}}",
                    says="Accuracy, or the mean error. How sure it is, `turnout labels` says.",
                    rare="labels that came later",
                ),
            ),
        ),
        (
            "Seconds at the host",
            tuple(Chart(f"p{share}", f"turnout:host_seconds:p{share}{_OF}", _REF, "s") for share in (50, 95, 99)),
        ),
        (
            "Hosts",
            (
                Chart("Requests in flight", f"sum by (version) (turnout_requests_in_flight{_OF})", "@{{version}}"),
                Chart(
                    "Rows of a request, mean",
                    f"sum by (version) (rate(turnout_batch_rows_sum{_OF}[1m]))"
                    f" / (sum by (version) (rate(turnout_batch_rows_count{_OF}[1m])) > 0)",
                    "@{{version}}",
                ),
                Chart("Ready hosts", f"turnout_version_ready_replicas{_OF}", _REF),
                Chart("Hosts that answer", f"turnout_host_up{_OF}", "@{{version}} {{replica}}"),
                Chart("Hosts that were replaced", f"turnout_version_restarts_total{_OF}", _REF),
                Chart("Memory", f"turnout_version_memory_bytes{_OF}", _REF, "bytes"),
                Chart(
                    "Seconds from start to ready",
                    f"turnout_ready_time_seconds{_OF} - turnout_process_start_time_seconds{_OF}",
                    "@{{version}} {{replica}}",
                    "s",
                ),
            ),
        ),
    ),
    by_model=True,
)

ROLLOUTS = Board(
    "rollouts",
    "Turnout: the rollouts of a model",
    (
        (
            "Who gets the traffic",
            (
                Chart("Share of the traffic", f"turnout_version_weight_percent{_OF}", _REF, "percent"),
                Chart("Role", f"turnout_version_role{_OF} == 1", f"{_REF}: {{{{role}}}}"),
                Chart("Phase", f"turnout_model_phase{_OF} == 1", "{{phase}}"),
                Chart("Switches", f"turnout_switches_total{_OF}", "{{model}}"),
                Chart("Rollbacks", f"turnout_rollbacks_total{_OF}", "{{model}}"),
                Chart("Versions that a rollback left", f"turnout_quarantined_versions{_OF}", "{{model}}"),
                Chart("Lines of the history", f"turnout_events_total{_OF}", "{{action}}"),
            ),
        ),
        (
            "What is judged",
            (
                Chart("Judged requests", f"turnout_version_judged_requests_total{_OF}", _REF),
                Chart("Judged failures", f"turnout_version_judged_failures_total{_OF}", _REF),
                Chart(
                    "Second attempts",
                    f"sum by (version) (rate(turnout_gateway_retries_total{_OF}[1m]))",
                    "@{{version}}",
                    "reqps",
                ),
                Chart(
                    "Requests that took too long",
                    f"sum by (version) (rate(turnout_gateway_timeouts_total{_OF}[1m]))",
                    "@{{version}}",
                    "reqps",
                ),
                Chart(
                    "Evidence, ln(e)",
                    f"turnout_rollout_e_value{_OF}",
                    "{{stream}}",
                    says="An alpha of 1 % is reached at ln(100) = 4.6.",
                    rare="the judge, while it judges a rollout",
                ),
                Chart(
                    "Verdict",
                    f"turnout_rollout_verdict{_OF} == 1",
                    "{{verdict}}",
                    rare="the judge, while it judges a rollout",
                ),
                Chart(
                    "Step of the rollout",
                    f"turnout_rollout_step_percent{_OF}",
                    "{{model}}",
                    "percent",
                    rare="the judge, while it judges a rollout",
                ),
                Chart("Drift", f"turnout_drift_alarm{_OF}", "{{model}}", rare="the watch for drift"),
            ),
        ),
    ),
    by_model=True,
)

BOARDS = (OVERVIEW, VERSIONS, ROLLOUTS)
