"""What is worth an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.values import GateReport, Moment, Verdict
from pipelines.values.alerts import Alert, AlertKind, Alerts

_ACTIONS = {
    "rollback": (AlertKind.ROLLBACK, "rolled back"),
    "drift": (AlertKind.DRIFT, "the data has drifted"),
    "hold": (AlertKind.ROLLOUT_HELD, "the rollout is held"),
    "held": (AlertKind.ROLLOUT_HELD, "the rollout is held"),
    "inconclusive": (AlertKind.ROLLOUT_HELD, "the rollout is inconclusive"),
    "abort": (AlertKind.ROLLOUT_HELD, "the rollout was called off"),
    "not brought back": (AlertKind.CRASH_LOOP, "cannot be brought back"),
}
"""Lines of a history that a person should know of."""
RESTARTS, RESTART_SECONDS = 3, 300.0
"""So many hosts of a version replaced within that time are a crash loop, too."""


def from_event(number: int, event: Mapping[str, Any], at: Moment) -> Alert | None:
    """An alert of a line of the history; None when it needs none.

    Args:
        number: Its number in the journal, from which the alert's id comes: it is the same each time.
        event: As `Event.as_dict` has it.
        at: When it happened.
    """
    # Of what a person calls off, nobody needs to be told.
    is_called_off = (event["action"], event.get("actor")) == ("undo", "turnout")
    known = _ACTIONS.get("abort" if is_called_off else event["action"])
    if known is None:
        return None
    kind, says = known
    source, target = str(event.get("from") or ""), str(event.get("to") or "")
    # A rollback is about the version that was left.
    version = source or target if kind is AlertKind.ROLLBACK else target or source
    way = f" to {target}" if kind is AlertKind.ROLLBACK and target and target != source else ""
    by = f"By {event['actor']}. " if event.get("actor") else ""
    reason = str(event.get("reason") or "no reason was given")
    text = f"{reason}\n{by}`turnout history {event['model']}` has the evidence."
    return Alert(
        f"event-{number}", kind, event["model"], version, f"{version or event['model']}: {says}{way}", text, at
    )


def from_report(report: GateReport, at: Moment, ident: str) -> Alert | None:
    """An alert of gates that did not pass; None when they did."""
    if report.verdict is Verdict.PASS:
        return None
    failed = "\n".join(
        f"{check.name}: {check.verdict}, {check.observed} where {check.required} is asked for"
        for check in report.failed()
    )
    title = f"{report.ref}: a gate failed" if report.verdict is Verdict.FAIL else f"{report.ref}: the gates cannot say"
    return Alert(ident, AlertKind.GATE_FAILED, report.ref.model, str(report.ref), title, failed, at)


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to be seen at a moment.

    Args:
        at: When, UTC.
        seconds: The same in seconds that only go forward: clocks jump.
        free: Free bytes of the disk.
        models: The status by model.
    """

    at: Moment
    seconds: float
    free: int
    models: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen before.

    Args:
        is_low: Whether the disk was too full.
        looping: Versions that were in a crash loop.
        restarts: When the restarts of each version were seen to rise, latest last, and how many there were.
        requests: How many requests each model had, since when, and whether that was told.
    """

    is_low: bool = False
    looping: frozenset[str] = frozenset()
    restarts: Mapping[str, tuple[int, tuple[float, ...]]] = field(default_factory=dict)
    requests: Mapping[str, tuple[int, float, bool]] = field(default_factory=dict)


def look(before: Watched, seen: Seen, rules: Alerts) -> tuple[Watched, list[Alert]]:
    """What has become worth an alert since the last look; each condition once, until it has passed."""
    now, disk = _disk(before, seen, rules)
    now, loops = _loops(now, seen)
    now, silent = _traffic(now, seen, rules)
    return now, [*disk, *loops, *silent]


def _alert(seen: Seen, kind: AlertKind, subject: str, title: str, text: str) -> Alert:
    ident = f"{kind.value}-{subject}-{seen.at.timestamp():.0f}"
    version = subject if "@" in subject else ""
    return Alert(ident, kind, subject.partition("@")[0], version, title, text, seen.at)


def _disk(before: Watched, seen: Seen, rules: Alerts) -> tuple[Watched, list[Alert]]:
    limit = rules.disk_low_mb * 1e6
    # Once told, it must get clearly better before it can be told again.
    is_low = seen.free < limit * (1.1 if before.is_low else 1.0)
    if not is_low or before.is_low:
        return replace(before, is_low=is_low), []
    text = f"`turnout prune` removes old versions; `disk_low_mb` in [tool.turnout.alerts] is {rules.disk_low_mb:.0f}."
    title = f"only {seen.free / 1e6:.0f} MB are free on the disk of .turnout"
    return replace(before, is_low=True), [_alert(seen, AlertKind.DISK_LOW, "", title, text)]


def _loops(before: Watched, seen: Seen) -> tuple[Watched, list[Alert]]:
    restarts: dict[str, tuple[int, tuple[float, ...]]] = {}
    looping: dict[str, str] = {}
    for entry in seen.models.values():
        for ref, one in entry["versions"].items():
            count, known = int(one["restarts"]), before.restarts.get(ref)
            risen = max(0, count - known[0]) if known else 0
            times = (*(known[1] if known else ()), *(seen.seconds,) * min(risen, RESTARTS))
            recent = tuple(at for at in times if seen.seconds - at <= RESTART_SECONDS)[-RESTARTS:]
            restarts[ref] = (count, recent)
            if one["health"] == "failed":
                looping[ref] = "Its hosts ended again and again and are not started any more."
            elif len(recent) >= RESTARTS:
                looping[ref] = f"{RESTARTS} of its hosts ended within {RESTART_SECONDS / 60:.0f} minutes."
    text = "`turnout logs {ref}` says why; the other versions carry its share meanwhile."
    alerts = [
        _alert(seen, AlertKind.CRASH_LOOP, ref, f"{ref}: crash loop", f"{why} {text.format(ref=ref)}")
        for ref, why in looping.items()
        if ref not in before.looping
    ]
    return replace(before, restarts=restarts, looping=frozenset(looping)), alerts


def _traffic(before: Watched, seen: Seen, rules: Alerts) -> tuple[Watched, list[Alert]]:
    requests: dict[str, tuple[int, float, bool]] = {}
    alerts = []
    for model, entry in seen.models.items():
        if entry["phase"] == "empty":
            continue
        count = sum(int(one["requests"]) for one in entry["versions"].values())
        known = before.requests.get(model)
        if known is None or count != known[0]:
            requests[model] = (count, seen.seconds, False)
            continue
        silent = (seen.seconds - known[1]) / 60
        is_due = 0 < rules.no_traffic_minutes <= silent and count > 0 and not known[2]
        requests[model] = (count, known[1], known[2] or is_due)
        if is_due:
            title = f"{model}: no request for {silent:.0f} minutes"
            text = f"It is live and had requests before. `turnout status {model}` shows what serves."
            alerts.append(_alert(seen, AlertKind.NO_TRAFFIC, model, title, text))
    return replace(before, requests=requests), alerts
