"""The daemon's part that watches for drift: it counts what hosts have kept, and holds each window against the bento."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.errors import BadInput, TurnoutError
from pipelines.local.captures.folder import CaptureFolder
from pipelines.local.drift.book import Counted, DriftBook
from pipelines.local.drift.reading import read_on, skip_all
from pipelines.local.drift.references import Known, References
from pipelines.local.journal import Event, Journal
from pipelines.local.rooms import Room
from pipelines.policy.drift import follow, judge
from pipelines.policy.drift_features import tally_answers, tally_rows
from pipelines.ports import Clock
from pipelines.values import Captured, Deployment, ModelConfig, Project, Role, VersionRef
from pipelines.values.drift import DriftSettings, DriftWindow

LOOK_SECONDS = 1.0
MOST_WINDOWS = 20
"""So many times `window_rows` a window takes in; the rest of a busy minute is passed over."""
_ACTOR = "turnout"
_TOLD = 5
_LISTED = 20


@dataclass(frozen=True)
class DriftSources:
    """What the watch looks at.

    Args:
        project: As its file has it now; raises BadProject.
        captures: What hosts have kept.
        references: What versions are held against.
        journal: What runs, and the history.
        clock: What time it is.
    """

    project: Callable[[], Project]
    captures: CaptureFolder
    references: References
    journal: Journal
    clock: Clock


@dataclass(frozen=True)
class _Watched:
    """A running version, as it was last seen: the state, in words why, and what has come of it."""

    state: str
    says: str
    known: Known
    counted: Counted | None = None


class DriftWatch:
    """Watches all versions that get requests.

    Args:
        sources: What it looks at.
        book: Where it keeps what it has counted.
    """

    def __init__(self, sources: DriftSources, book: DriftBook) -> None:
        self._sources = sources
        self._book = book
        self._seen: dict[str, dict[VersionRef, _Watched]] = {}
        self._counted: dict[VersionRef, Counted] = {}

    @property
    def room(self) -> Room:
        """It as a part of the daemon."""
        return Room(
            loops=((self.look, LOOK_SECONDS),),
            questions={"drift": self.listed},
            status=self.status,
            close=self._book.close,
        )

    def look(self) -> None:
        """Look at each of them once. What fails for one does not keep the others from being watched.

        Raises:
            TurnoutError: the first of what failed.
        """
        models = self._sources.project().models
        failed: TurnoutError | None = None
        seen: dict[str, dict[VersionRef, _Watched]] = {}
        for deployment in self._sources.journal.deployments():
            model = models.get(deployment.model)
            if model is None or not model.drift.is_on:
                continue
            before, asked = self._seen.get(model.name, {}), _asked(deployment)
            seen[model.name] = {ref: before[ref] for ref in asked if ref in before}
            for ref in asked:
                try:
                    seen[model.name][ref] = self._look_at(ref, model)
                except TurnoutError as error:
                    failed = failed or error
        self._seen = seen
        if failed is not None:
            raise failed

    def status(self, model: str) -> dict[str, Any]:
        """What the status says of a model: `is_drifting` is None as long as no window was tested."""
        seen = self._seen.get(model)
        if not seen:
            return {"drift": None}
        tested = [one.counted for one in seen.values() if one.counted is not None and one.counted.windows]
        return {
            "drift": {
                "is_drifting": any(one.standing.drifting for one in tested) if tested else None,
                "versions": {str(ref): _shown(one) for ref, one in seen.items()},
            }
        }

    def listed(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """All that is known of a model's versions that get requests, with their windows, the latest first.

        Raises:
            BadInput: no model is named.
            NoSuchModel: the project has none of that name.
        """
        name = asked.get("model", "")
        if not name:
            raise BadInput("whose drift?", instead="a model")
        settings = self._sources.project().model(name).drift
        versions = {}
        for ref, one in self._seen.get(name, {}).items():
            versions[str(ref)] = {
                **_shown(one),
                "reference_rows": one.known.reference.rows,
                "left_out": list(one.known.reference.left_out),
                "windows": [window.as_dict() for window in self._book.windows(ref, _LISTED)],
            }
        said = {
            "is_on": settings.is_on,
            "window_rows": settings.window_rows,
            "alpha": settings.alpha,
            "min_psi": settings.min_psi,
        }
        return {"model": name, "settings": said, "versions": versions}

    def _look_at(self, ref: VersionRef, model: ModelConfig) -> _Watched:
        known = self._sources.references.of(ref)
        if known.missing or known.signature is None:
            return _Watched("no reference", known.missing, known)
        counted = self._counted.get(ref) or self._book.counted(ref)
        if counted is None or counted.reference != known.digest:
            counted = Counted(known.digest)
        counted = self._pay(ref, counted)
        after, window = self._read(ref, model, known, counted)
        if after != counted:
            self._book.keep(ref, after, window)
            self._counted[ref] = after
            after = self._pay(ref, after)
        self._counted[ref] = after
        return _Watched(*_state(after, model), known, after)

    def _read(
        self, ref: VersionRef, model: ModelConfig, known: Known, counted: Counted
    ) -> tuple[Counted, DriftWindow | None]:
        """Count what has come; and when that makes a window, hold it against the reference."""
        folder, settings = self._sources.captures, model.drift
        if counted.rows >= settings.window_rows * MOST_WINDOWS:
            after = counted.with_(places=skip_all(folder, ref, counted.places))
        else:
            piece = read_on(folder, ref, counted.places)
            hidden = (*model.capture.leave_out, *model.capture.hash)
            after = _with(counted, piece.captures, known, hidden).with_(places=piece.places)
        now = self._sources.clock.now()
        if after.first is None or after.last is None or not _is_due(after, settings, now):
            return after, None
        findings = judge(known.reference, after.tallies, settings)
        window = DriftWindow(after.rows, after.first, after.last, findings)
        standing = follow(after.standing, window.drifted)
        event = _event(ref, counted, standing.drifting, window, now)
        fresh = Counted(known.digest, after.places, closed=now, standing=standing, windows=after.windows + 1)
        return fresh.with_(owed=event), window

    def _pay(self, ref: VersionRef, counted: Counted) -> Counted:
        """Tell the history what it has still to be told. It is told at least once, also by a daemon that comes later.

        Raises:
            StorageFailed: the disk is full; it is told later.
        """
        if counted.owed is None:
            return counted
        owed = dict(counted.owed)
        self._sources.journal.note(Event(**{**owed, "at": datetime.fromisoformat(owed["at"])}))
        paid = counted.with_(owed=None)
        self._book.keep(ref, paid)
        return paid


def _asked(deployment: Deployment) -> list[VersionRef]:
    """The versions that get requests, or copies of them: what a warm one in reserve had once says nothing of today."""
    weights = deployment.split.weights if deployment.split else {}
    return [
        ref for ref in sorted(deployment.running) if deployment.role(ref) is not Role.STANDBY or weights.get(ref, 0)
    ]


def _with(counted: Counted, captures: Sequence[Captured], known: Known, hidden: Sequence[str]) -> Counted:
    """The counts after more captures."""
    if not captures or known.signature is None:
        return counted
    rows = [row for one in captures for row in one.inputs or ()]
    outputs = [output for one in captures for output in one.outputs or ()]
    tallies = dict(counted.tallies)
    found = tally_rows(known.reference, known.signature, rows, hidden) if rows else {}
    if outputs:
        found |= tally_answers(known.reference, outputs)
    for name, tally in found.items():
        before = tallies.get(name)
        tallies[name] = tally if before is None else tuple(a + b for a, b in zip(before, tally, strict=True))
    moments = [one.at for one in captures]
    return counted.with_(
        tallies=tallies,
        rows=counted.rows + sum(one.rows for one in captures),
        first=min([counted.first, *moments] if counted.first else moments),
        last=max([counted.last, *moments] if counted.last else moments),
    )


def _is_due(counted: Counted, settings: DriftSettings, now: datetime) -> bool:
    if counted.rows < settings.window_rows:
        return False
    # A clock that was set back makes the last window later than now: that is no reason to wait.
    passed = (now - counted.closed).total_seconds() / 60 if counted.closed else -1.0
    return not 0 <= passed < settings.min_minutes


def _event(
    ref: VersionRef, before: Counted, drifting: Sequence[str], window: DriftWindow, now: datetime
) -> dict[str, Any] | None:
    """A line of the history when a drift begins, and when it is over; as JSON, to be kept until it is written."""
    if bool(before.standing.drifting) == bool(drifting):
        return None
    named = {one.feature: one for one in window.findings}
    if drifting:
        told = ", ".join(f"{name} (PSI {named[name].psi:.2f})" for name in drifting[:_TOLD] if name in named)
        more = len(drifting) - _TOLD
        reason = f"{told}{f' and {more} more' if more > 0 else ''}, in two windows in a row; the latest had"
    else:
        reason = "none in two windows in a row; the latest had"
    evidence = {**window.as_dict(), "features": [one.as_dict() for one in window.findings if one.is_drift]}
    return {
        "at": now.isoformat(),
        "model": ref.model,
        "actor": _ACTOR,
        "action": "drift" if drifting else "drift over",
        "source": "",
        "target": str(ref),
        "reason": f"{reason} {window.rows:,} rows",
        "evidence": evidence,
    }


def _state(counted: Counted, model: ModelConfig) -> tuple[str, str]:
    """How a version is, and why."""
    standing, settings = counted.standing, model.drift
    progress = f"{counted.rows:,} of {settings.window_rows:,} rows of the next window"
    if standing.drifting:
        return "drifting", f"{', '.join(standing.drifting[:_TOLD])}; {progress}"
    if standing.last:
        return "suspected", f"{', '.join(standing.last[:_TOLD])} in one window; the next confirms it or not; {progress}"
    if counted.windows:
        return "clear", progress
    if not counted.rows and not model.capture.rate:
        return "waiting", "nothing is kept of its requests: capture.rate is 0"
    return "waiting", progress


def _shown(one: _Watched) -> dict[str, Any]:
    counted = one.counted
    return {
        "state": one.state,
        "says": one.says,
        "drifting": list(counted.standing.drifting) if counted else [],
        "rows": counted.rows if counted else 0,
        "windows_tested": counted.windows if counted else 0,
    }
