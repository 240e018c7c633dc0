"""What Prometheus works out of the samples, and of what it alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WINDOW = "1m"
"""Of the recorded rates: at least four samples at the longest interval that the project file allows."""

_JUDGED = "turnout_version_judged_requests_total"
_SERVES = '(count(turnout_model_phase{phase!="empty"} == 1) > 0)'


@dataclass(frozen=True)
class Alert:
    """One alert rule.

    Args:
        name: Its name.
        expr: When it holds.
        lasts: For how long it must, in Prometheus' words; empty for at once.
        severity: `critical` when requests are lost or nobody watches, `warning` else.
        summary: What to tell a person; `{{ $labels.x }}` and `{{ $value }}` are filled in.
        then: What to do.
    """

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    then: str

    def as_dict(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        lasting = {"for": self.lasts} if self.lasts else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            **lasting,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.then},
        }


RECORDED = {
    "turnout:requests:rate1m": f"sum by (model, version) (rate({_JUDGED}[{WINDOW}]))",
    "turnout:failures:ratio1m": (
        f"sum by (model, version) (rate(turnout_version_judged_failures_total[{WINDOW}]))"
        f" / (sum by (model, version) (rate({_JUDGED}[{WINDOW}])) > 0)"
    ),
    "turnout:answers_5xx:ratio1m": (
        f'sum by (project) (rate(turnout_gateway_answers_total{{code="5xx"}}[{WINDOW}]))'
        f" / (sum by (project) (rate(turnout_gateway_answers_total[{WINDOW}])) > 0)"
    ),
    **{
        f"turnout:host_seconds:p{share}": (
            f"histogram_quantile({share / 100}, "
            f"sum by (model, version, le) (rate(turnout_request_seconds_bucket[{WINDOW}])))"
        )
        for share in (50, 95, 99)
    },
    **{
        f"turnout:gateway_seconds:p{share}": (
            f"histogram_quantile({share / 100}, sum by (le) (rate(turnout_gateway_seconds_bucket[{WINDOW}])))"
        )
        for share in (50, 95, 99)
    },
}
"""Recording rules: names and what is recorded under them."""

_REF = "{{ $labels.model }}@{{ $labels.version }}"

ALERTS: Sequence[Alert] = (
    Alert(
        "TurnoutDaemonDown",
        'up{job="turnout-daemon"} == 0',
        "1m",
        "critical",
        "Turnout's daemon does not answer",
        "What serves serves on, but nobody watches it. Any command, such as `turnout status`, starts the daemon.",
    ),
    Alert(
        "TurnoutGatewayDown",
        f"turnout_gateway_up == 0 and on () {_SERVES}",
        "30s",
        "critical",
        "The gateway does not answer, and no request arrives",
        "`turnout status` and `turnout logs` say why.",
    ),
    Alert(
        "TurnoutNoHostReady",
        "turnout_version_weight_percent > 0 and turnout_version_ready_replicas == 0",
        "30s",
        "critical",
        f"No host of {_REF} is ready, and it has a share of the traffic",
        "`turnout rollback {{ $labels.model }}` goes back to the last proven version.",
    ),
    Alert(
        "TurnoutHostDown",
        "turnout_host_up == 0",
        "1m",
        "warning",
        f"Host {{{{ $labels.replica }}}} of {_REF} does not answer",
        f"`turnout logs {_REF}` says what it wrote.",
    ),
    Alert(
        "TurnoutCrashLoop",
        "increase(turnout_version_restarts_total[5m]) >= 3",
        "",
        "warning",
        f"Hosts of {_REF} end again and again",
        f"`turnout logs {_REF}` says what they wrote.",
    ),
    Alert(
        "TurnoutAnswersFail",
        "turnout:answers_5xx:ratio1m > 0.05",
        "2m",
        "critical",
        "{{ $value | humanizePercentage }} of the answers are 5xx",
        "`turnout monitor` says of which version; `turnout rollback MODEL` leaves it.",
    ),
    Alert(
        "TurnoutVersionFails",
        "turnout:failures:ratio1m > 0.05 and turnout:requests:rate1m > 0.1",
        "1m",
        "warning",
        f"{_REF} fails {{{{ $value | humanizePercentage }}}} of its requests at the first attempt",
        "Other versions answer them a second time, so that clients may see none of it. `turnout rollback"
        " {{ $labels.model }}` leaves it.",
    ),
    Alert(
        "TurnoutSlow",
        "turnout:host_seconds:p95 > 1",
        "5m",
        "warning",
        f"One of twenty requests takes {_REF} longer than {{{{ $value | humanizeDuration }}}}",
        "More replicas (`turnout deploy REF --replicas N`) help against load, a rollback against a slow version.",
    ),
    Alert(
        "TurnoutRolledBack",
        "increase(turnout_rollbacks_total[5m]) > 0",
        "",
        "warning",
        "{{ $labels.model }} was rolled back",
        "`turnout history {{ $labels.model }}` says by whom and why.",
    ),
    Alert(
        "TurnoutInconclusive",
        'turnout_rollout_verdict{verdict="INCONCLUSIVE"} == 1',
        "30m",
        "warning",
        "The data cannot say whether the new version of {{ $labels.model }} is as good",
        "`turnout monitor {{ $labels.model }}` says what is missing.",
    ),
    Alert(
        "TurnoutDrift",
        "turnout_drift_alarm == 1",
        "1m",
        "warning",
        "What {{ $labels.model }} is asked is not what it was validated with",
        "`turnout drift {{ $labels.model }}` names what has drifted.",
    ),
    Alert(
        "TurnoutNoTraffic",
        f"sum by (model) (increase({_JUDGED}[30m])) == 0 and sum by (model) (increase({_JUDGED}[30m] offset 30m)) > 0",
        "5m",
        "warning",
        "{{ $labels.model }} had requests, and has had none for half an hour",
        "Look at what asks it.",
    ),
    Alert(
        "TurnoutDiskLow",
        "turnout_disk_free_bytes / turnout_disk_size_bytes < 0.05",
        "1m",
        "warning",
        "{{ $value | humanizePercentage }} of the disk of the state folder are free",
        "`turnout prune` removes old versions.",
    ),
)


def recording_rules() -> dict[str, Any]:
    """The file of the recording rules."""
    rules = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    return {"groups": [{"name": "turnout-recorded", "rules": rules}]}


def alert_rules() -> dict[str, Any]:
    """The file of the alert rules."""
    return {"groups": [{"name": "turnout-alerts", "rules": [alert.as_dict() for alert in ALERTS]}]}
