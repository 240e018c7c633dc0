"""The daemon's part that judges: it looks at each rollout about once a second, and does what the evidence says."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from pipelines.errors import BadInput, Busy, Refused, StorageFailed, TurnoutError
from pipelines.local.engine import Engine, Request
from pipelines.local.journal import Event
from pipelines.local.judge.book import Book, Case
from pipelines.local.judge.sources import Sources
from pipelines.local.judge.watching import Pair, Position, Watch
from pipelines.local.rooms import Room
from pipelines.local.turns import who
from pipelines.local.upkeep import ACTOR
from pipelines.policy.rollout import judge, replay
from pipelines.policy.trial import baking, begin, moved
from pipelines.values import Deployment, Phase, Rollout, Verdict
from pipelines.values.decisions import Decision, Move, Record
from pipelines.values.evidence import Rules, Trial
from pipelines.values.seen import Seen

LOOK_SECONDS = 1.0

_ENDED = {
    Move.ROLLBACK: "rolled_back",
    Move.ABORT: "called_off",
}
_OPEN = ("judging", "holding", "asking")
"""States of a rollout that has not ended."""
_KINDS: Mapping[Phase, str] = {Phase.CANARY: "canary", Phase.BAKING: "bake"}
"""What is judged of a rollout in a phase."""


class Judge:
    """Watches the rollouts of all models.

    Args:
        engine: Who carries out what is decided.
        sources: Where to look.
        book: Where the evidence is kept.
        rollout: How a model's versions take over; raises TurnoutError.
        monotonic: Seconds, for what lasts.
        now: The time of the gateway's log, in seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Sources,
        book: Book,
        rollout: Callable[[str], Rollout],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._sources, self._book, self._rollout = engine, sources, book, rollout
        self._monotonic, self._now = monotonic, now
        self._cases: dict[str, Case | None] = {}
        self._watches: dict[str, tuple[Pair, str, Watch]] = {}
        self._troubles: dict[str, str] = {}

    @property
    def room(self) -> Room:
        """The judge as a part of the daemon."""
        return Room(
            loops=((self.look, LOOK_SECONDS),),
            questions={"decisions": self._decisions},
            status=self._status,
            bakes=self._bakes,
            close=self._book.close,
        )

    def look(self) -> None:
        """Look at each model once. What fails for one does not keep the others from being judged.

        Raises:
            TurnoutError: the first of what failed.
        """
        failed: TurnoutError | None = None
        for deployment in self._engine.journal.deployments():
            try:
                self._look_at(deployment)
                self._troubles.pop(deployment.model, None)
            except (Busy, Refused) as error:
                failed = failed or error
            except Exception as error:  # noqa: BLE001 - nobody must take a rollout for judged that is not
                trouble = self._in_trouble(deployment, error)
                failed = failed or trouble
        if failed is not None:
            raise failed

    def _in_trouble(self, deployment: Deployment, error: Exception) -> TurnoutError:
        """Have the status say why nothing is decided, and return the error to raise."""
        found = error if isinstance(error, TurnoutError) else TurnoutError(f"{type(error).__name__}: {error}")
        if found is not error and self._troubles.get(deployment.model) != found.what:
            traceback.print_exception(error)
        if deployment.candidate is not None:
            self._troubles[deployment.model] = found.what
        return found

    def _look_at(self, deployment: Deployment) -> None:
        model = deployment.model
        if model not in self._cases:
            self._cases[model] = self._book.case(model)
        if self._engine.turns.holder(model) is not None:
            return
        case = self._case(deployment)
        if case is None or deployment.split is None:
            self._rest(deployment)
            return
        split = deployment.split
        share = split.weights.get(case.pair.candidate, 0) / 100
        now = self._engine.clock.now()
        before = moved(case.trial, share, now)
        seen, position = self._watch(model, case).look(case.position, split.generation, share)
        slow = case.rules.slow_ms if position.slow_seconds is None else position.slow_seconds * 1000
        rules = Rules(case.rules.rollout, case.rules.by_user, slow)
        after, decision = judge(rules, before, seen, now)
        record = Record(rules, before, seen, now, decision)
        said = _said(decision, after, seen, case.said, now.isoformat())
        was_asking = bool(case.said.get("asks"))
        is_news = decision.move is not Move.HOLD or decision.asks != was_asking
        # The evidence is on the disk before anything is done on its account: a daemon killed in between decides again.
        case = self._cases[model] = Case(case.pair, rules, after, position, said)
        try:
            self._book.keep(model, case, record if is_news else None)
        except StorageFailed:
            # Nobody wants a bad version to stay because of a full disk. All else waits, and is said when it is done.
            self._cases[model] = case.with_(said={**said, "asks": was_asking})
            if decision.move is Move.ROLLBACK:
                self._act(deployment, decision)
            raise
        if decision.asks and not was_asking:
            self._tell_of_hold(case, decision)
        self._act(deployment, decision)

    def _case(self, deployment: Deployment) -> Case | None:
        """The deployment's case, begun anew when it is another one; None when there is nothing to judge."""
        model, candidate, champion, split = (
            deployment.model,
            deployment.candidate,
            deployment.champion,
            deployment.split,
        )
        kind = _KINDS.get(deployment.phase)
        if kind is None or candidate is None or champion is None or split is None or not self._is_judged(deployment):
            return None
        known = self._cases.get(model)
        stable = str(champion) if split.weights.get(champion) else ""
        if known is not None and _names(known.trial) == (deployment.rollout, kind, str(candidate), stable):
            return known
        rollout = self._rollout(model)
        latency = rollout.latency_ms
        rules = Rules(rollout, by_user=split.sticky is not None, slow_ms=latency)
        share, now = split.weights.get(candidate, 0) / 100, self._engine.clock.now()
        earlier: Trial | None = None
        if kind == "canary":
            trial = begin(str(deployment.rollout), str(candidate), stable, share, now)
        else:
            is_its = known is not None and _names(known.trial)[::2] == (deployment.rollout, str(candidate))
            earlier = known.trial if known is not None and is_its and known.trial.kind == "canary" else None
            trial = baking(rules, earlier, str(deployment.rollout), str(candidate), stable, share, now)
        position = Position(slow_seconds=None if latency is None else latency / 1000)
        if known is not None and trial.kind == "bake" and earlier is not None:
            # Labels come late: those of the canary's requests still count, under the shares that they had.
            before = known.position
            position = replace(position, labels=before.labels, shares=before.shares, paired=before.paired)
        begun = self._engine.journal.operation(str(deployment.rollout))
        pair = Pair(candidate, champion, split.generation, begun.started.timestamp() if begun else None)
        return Case(pair, rules, trial, position, {})

    def _is_judged(self, deployment: Deployment) -> bool:
        if not self._rollout(deployment.model).judge:
            return False
        begun = self._engine.journal.operation(str(deployment.rollout))
        return begun is None or begun.arguments.get("judge") is not False

    def _watch(self, model: str, case: Case) -> Watch:
        known = self._watches.get(model)
        if known is None or known[:2] != (case.pair, case.trial.kind):
            known = (case.pair, case.trial.kind, Watch(self._sources, case.pair, self._monotonic, self._now))
            self._watches[model] = known
        return known[2]

    def _act(self, deployment: Deployment, decision: Decision) -> None:
        verb, arguments = _operation(deployment, decision)
        if not verb or deployment.split is None:
            return
        generation = deployment.split.generation
        given = {
            **arguments,
            "reason": decision.reason,
            "generation": generation,
            "evidence": _recorded(decision),
        }
        moment = f"{self._engine.clock.now().timestamp():.3f}"
        request = Request(f"judge-{verb}-{generation}-{moment}", verb, deployment.model, given, ACTOR)
        self._engine.operate(request)
        ended = _ENDED.get(decision.move)
        case = self._cases[deployment.model]
        if ended is not None and case is not None:
            self._end(deployment.model, case, ended, decision.reason)

    def _tell_of_hold(self, case: Case, decision: Decision) -> None:
        """A person has to decide: the history says so, and from there whoever wants alerts is told."""
        pair, evidence = case.pair, _recorded(decision)
        refs = str(pair.stable), str(pair.candidate)
        now = self._engine.clock.now()
        event = Event(now, pair.candidate.model, who(ACTOR), "held", *refs, decision.reason, {"judge": evidence})
        self._engine.journal.note(event)

    def _rest(self, deployment: Deployment) -> None:
        """Nothing is under judgement; of a rollout that was, it is said how it ended."""
        case = self._cases.get(deployment.model)
        if case is not None and case.said.get("state") in _OPEN:
            self._end(deployment.model, case, *_outcome(case, deployment))

    def _end(self, model: str, case: Case, state: str, reason: str) -> None:
        said = self._ended(case, state, reason)
        self._cases[model] = case.with_(said=said)
        self._watches.pop(model, None)
        self._book.keep(model, case.with_(said=said))

    def _ended(self, case: Case, state: str, reason: str) -> dict[str, Any]:
        since = self._engine.clock.now().isoformat()
        return {**case.said, "state": state, "reason": reason, "needed": None, "since": since, "asks": False}

    def _bakes(self, deployment: Deployment) -> bool:
        try:
            return self._is_judged(deployment)
        except TurnoutError:
            return False

    def _status(self, model: str) -> dict[str, Any]:
        case, trouble = self._cases.get(model), self._troubles.get(model)
        said = dict(case.said) if case is not None and case.said else {}
        if case is not None and said.get("state") in _OPEN:
            deployment = self._engine.journal.deployment(model)
            if deployment.candidate != case.pair.candidate:
                # A person has ended it since the last look.
                said = self._ended(case, *_outcome(case, deployment))
            else:
                said = _moved_on(said, case.trial, deployment)
        if trouble:
            held = {"state": "holding", "verdict": Verdict.INCONCLUSIVE.value, "needed": None, "asks": False}
            said = {**said, **held, "reason": f"nothing is decided: {trouble}"}
        return {"rollout": said or None}

    def _decisions(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        model, limit = asked.get("model", ""), asked.get("limit", "20")
        if not model or not limit.isdigit():
            raise BadInput("whose decisions?", instead="a model, and a whole number as the limit")
        found = self._book.decisions(model, int(limit))
        return [{**record.as_dict(), "replayed": replay(record) == record.decision} for record in found]


def _outcome(case: Case, deployment: Deployment) -> tuple[str, str]:
    """How a rollout ended that is under judgement no more: its state, and the reason."""
    candidate = case.pair.candidate
    if deployment.champion == candidate:
        return "promoted", f"{candidate} is the champion"
    if candidate in deployment.quarantined:
        return "rolled_back", deployment.quarantined[candidate]
    return "called_off", f"{candidate} is not under way any more"


def _moved_on(said: dict[str, Any], trial: Trial, deployment: Deployment) -> dict[str, Any]:
    """What is said of a rollout, without what was true of the share that its candidate had at the last look."""
    weights = deployment.split.weights if deployment.split else {}
    share = next((weight for ref, weight in weights.items() if ref == deployment.candidate), 0)
    kind = _KINDS.get(deployment.phase, trial.kind)
    if (kind, share) == (trial.kind, round(trial.share * 100)):
        return said
    reason = f"{deployment.candidate} has just got {share} % of the traffic"
    state = "judging" if said["state"] == "asking" else said["state"]
    open_again = {"state": state, "verdict": Verdict.INCONCLUSIVE.value, "needed": None, "asks": False}
    return {**said, **open_again, "kind": kind, "share": share, "reason": reason}


def _names(trial: Trial) -> tuple[str, str, str, str]:
    return (trial.rollout, trial.kind, trial.candidate, trial.stable)


def _recorded(decision: Decision) -> dict[str, Any]:
    """What the history has of a decision."""
    return {"verdict": decision.verdict.value, "proven": decision.proven, **decision.evidence}


def _operation(deployment: Deployment, decision: Decision) -> tuple[str, dict[str, Any]]:
    """The verb that carries out a decision, and its arguments."""
    candidate = str(deployment.candidate)
    match decision.move:
        case Move.RAMP:
            return "deploy", {"ref": candidate, "share": decision.share}
        case Move.PROMOTE:
            return "promote", {"ref": candidate}
        case Move.ROLLBACK:
            return "rollback", {"quarantine": True}
        case Move.ABORT:
            return "undo", {}
        case Move.FINISH:
            return "bake", {}
        case _:
            return "", {}


def _said(decision: Decision, trial: Trial, seen: Seen, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    """What `status` shows of a rollout under judgement."""
    exposed = (trial.total.candidate or trial.total.candidate_failures) and not seen.missing
    state = "asking" if decision.asks else ("judging" if exposed else "holding")
    is_same = before.get("state") == state and before.get("step") == decision.share
    evidence = decision.evidence
    values = {name: stream["e_value"] for name, stream in _with_promotion(evidence)}
    return {
        "state": state,
        "kind": trial.kind,
        "candidate": trial.candidate,
        "step": decision.share,
        "share": round(trial.share * 100),
        "verdict": decision.verdict.value,
        "reason": decision.reason,
        "asks": decision.asks,
        "needed": asdict(decision.needed) if decision.needed else None,
        "e_harm": {name: values[name] for name in evidence["streams"]},
        "e_promotion": evidence["promotion"]["e_value"],
        "requests": trial.total.candidate,
        "failures": trial.total.candidate_failures,
        "stable_requests": trial.total.stable,
        "stable_failures": trial.total.stable_failures,
        "since": before["since"] if is_same else now,
    }


def _with_promotion(evidence: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [*evidence["streams"].items(), ("promotion", evidence["promotion"])]
