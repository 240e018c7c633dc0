"""What a deployment becomes when somebody deploys, promotes, rolls back, undoes or stops.

Each function takes the deployment as it is and returns it as it shall be, or raises Refused; what is so already comes
back unchanged, the very same object. What has to be started, routed and stopped follows from the two: see `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pipelines.errors import BadInput, Refused
from pipelines.values import Bento, Deployment, Moment, Phase, Share, Split, Sticky, VersionRef

MAX_REPLICAS = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """How to get from one deployment to another, in this order.

    Args:
        start: Versions to start, with their numbers of processes.
        route: The split to make live; None when the traffic stays as it is.
        stop: Versions to stop, after the change is recorded.
    """

    start: Mapping[VersionRef, int]
    route: Split | None
    stop: tuple[VersionRef, ...]

    def steps(self) -> list[str]:
        """The plan in words, a line a step."""
        said = [f"start {ref}" + (f" with {count} processes" if count > 1 else "") for ref, count in self.start.items()]
        if self.route is not None:
            said.append(describe(self.route))
        return [*said, "record it", *(f"stop {ref}" for ref in self.stop)]


def plan(before: Deployment, after: Deployment, down: frozenset[VersionRef] = frozenset()) -> Plan:
    """What leads from `before` to `after`.

    Args:
        before: What is recorded.
        after: What shall be.
        down: Recorded versions of which no process is left: those with a share are started again.
    """
    starts = sorted((after.running - before.running) | (_carrying(after) & down))
    changes = after.split != before.split or after.running != before.running
    return Plan(
        start={ref: after.replicas.get(ref, 1) for ref in starts},
        route=after.split if changes else None,
        stop=tuple(sorted(before.running - after.running)),
    )


def describe(split: Split) -> str:
    """A split in words: `route digits: digits@4 90 %, digits@5 10 %`."""
    shares = [f"{ref} {weight} %" for ref, weight in split.weights.items() if weight]
    if split.shadow:
        shares.append(f"{split.shadow} gets copies")
    return f"route {split.model}: {', '.join(shares) or 'nowhere'}"


def check_bento(ref: VersionRef, bento: Bento | None, forced: str = "") -> Bento:
    """The bento, when it may take traffic.

    Raises:
        Refused: the version is not packaged, or its gates did not pass and no reason was given.
    """
    if bento is None:
        raise Refused(
            f"{ref} is not packaged",
            instead="only a packaged version can run",
            then=f"`turnout package {ref}` does it.",
        )
    if not (bento.is_passed or bento.forced or forced):
        raise Refused(
            f"{ref} has not passed its gates",
            instead="only a passed version is deployed",
            then=f"`turnout validate {ref}` shows why; `turnout deploy {ref} --force --reason TEXT` overrides it.",
        )
    return bento


def after_deploy(
    now: Deployment,
    ref: VersionRef,
    *,
    share: Share,
    rollout: str,
    bake_until: Moment | None,
    sticky: Sticky | None = None,
    replicas: int | None = None,
    keep: int = 1,
    healthy: frozenset[VersionRef] = frozenset(),
    forced: str = "",
) -> Deployment:
    """The version gets its share; where nothing serves yet it gets everything and is the champion.

    Args:
        now: The deployment.
        ref: The version.
        share: 1 to 100 percent, or `shadow`.
        rollout: Id of a new rollout; a version under way keeps its own.
        bake_until: When a bake that begins now is over; None for no bake.
        sticky: How users stay with their version; None keeps what the rollout has.
        replicas: Processes; None for as many as the version that carries the traffic now.
        keep: Warm standbys besides.
        healthy: Versions that are ready, or will be before the traffic moves.
        forced: The reason that overrides a quarantine.

    Raises:
        BadInput: an impossible share or number of replicas.
        Refused: a quarantined version without a reason, a version that is not ready, or another one is baking.
    """
    _check_numbers(share, replicas)
    now = _without_quarantine(now, ref, forced)
    if now.phase is Phase.EMPTY:
        return _first(now, ref, share, rollout, replicas or 1)
    if ref == now.champion:
        return _champion_again(now, share, healthy)
    if now.phase is Phase.BAKING and ref != now.candidate and share != 100:
        raise Refused(
            f"{now.candidate} is baking until {now.bake_until:%H:%M} UTC",
            instead="one candidate at a time is judged",
            then=f"Wait, or `turnout rollback {now.model}` first; `--canary 100` switches at once.",
        )
    replicas = _replicas(now, ref, replicas)
    if ref in now.running and ref not in healthy:
        raise _not_ready(ref)
    same = ref == now.candidate
    rollout = now.rollout if same else rollout
    sticky = replace(sticky, salt=rollout) if sticky else (now.split.sticky if same and now.split else None)
    begun = now.with_(candidate=ref, rollout=rollout, replicas={**now.replicas, ref: replicas})
    begun = begun.with_(standbys=tuple(old for old in now.standbys if old != ref))
    if share == 100:
        return now if same and now.phase is Phase.BAKING else _baking(begun, bake_until, healthy, keep)
    champion = _champion(now)
    if share == "shadow":
        split = Split(now.model, {champion: 100}, shadow=ref, generation=_next(now))
    else:
        split = Split(now.model, {champion: 100 - share, ref: share}, sticky=sticky, generation=_next(now))
    phase = Phase.SHADOW if share == "shadow" else Phase.CANARY
    return _unless_same(now, begun.with_(phase=phase, split=split, bake_until=None))


def after_promote(
    now: Deployment,
    ref: VersionRef | None,
    *,
    bake_until: Moment | None,
    healthy: frozenset[VersionRef],
    holdback: int = 0,
    keep: int = 1,
) -> Deployment:
    """The candidate takes the traffic and bakes; without a bake it is the champion at once.

    Args:
        now: The deployment.
        ref: Who should be promoted; None for the candidate there is.
        bake_until: When the bake is over; None for no bake.
        healthy: Versions that are ready.
        holdback: Percent of the traffic that the champion keeps during the bake.
        keep: Warm standbys besides.

    Raises:
        Refused: there is no such candidate, or it is not ready.
    """
    if ref is not None and ref == now.champion and now.phase is Phase.LIVE:
        return now
    if now.phase is Phase.BAKING and ref in (None, now.candidate):
        return now
    if now.candidate is None or ref not in (None, now.candidate):
        there = f"{now.candidate} is the candidate" if now.candidate else "nothing is under way"
        raise Refused(
            f"{ref or now.model} cannot be promoted: {there}",
            instead="a version with a share, or a shadow, can",
            then=f"`turnout deploy {ref or now.model + '@N'}` brings one.",
        )
    if now.candidate not in healthy:
        raise _not_ready(now.candidate)
    return _baking(now, bake_until, healthy, keep, holdback)


def after_bake(now: Deployment, keep: int) -> Deployment:
    """The baked version is the champion; the one before it stays warm, `keep` versions in all."""
    if now.phase is not Phase.BAKING or now.candidate is None:
        return now
    champion = now.candidate
    standbys = [ref for ref in (now.champion, *now.standbys) if ref is not None and ref != champion]
    return _live(now, champion, standbys[:keep])


def after_rollback(
    now: Deployment,
    to: VersionRef | None,
    *,
    healthy: frozenset[VersionRef],
    reason: str,
    quarantine: bool = True,
    incoming: VersionRef | None = None,
) -> Deployment:
    """Away from the present version, in every phase; it stays away until somebody overrides that with a reason.

    A candidate is left for the champion, a champion for the last one before it that is warm.

    Args:
        now: The deployment.
        to: Where to; None for the last proven version that is ready.
        healthy: Versions that are ready.
        reason: Why; stored with each version that is quarantined.
        quarantine: Whether the versions left may not come back by themselves.
        incoming: What a deploy was about to bring when the rollback stopped it: that is left then, and nothing else
            when nothing else was under way.

    Raises:
        Refused: there is nowhere to go, or `to` is quarantined, not ready, or itself what would be left.
    """
    if incoming is not None and now.candidate is None and to in (None, now.champion):
        return _turned_away(now, incoming, reason) if quarantine else now
    if now.phase is Phase.EMPTY:
        raise Refused(f"{now.model} serves nothing", then=f"`turnout deploy {now.model}@N` starts a version.")
    if to is not None and to == now.champion and now.phase is Phase.LIVE:
        return now
    goal = _goal(now, to, healthy, now.candidate or incoming or now.champion)
    left = (_carrying(now) | {ref for ref in (now.candidate, incoming) if ref is not None}) - {goal}
    bad = dict.fromkeys(sorted(left), reason) if quarantine else {}
    # A champion that is left without a verdict was proven once, and stays warm; a candidate never was.
    standbys = [ref for ref in (now.champion, *now.standbys) if ref and ref != goal and ref not in bad]
    many = max((now.replicas.get(ref, 1) for ref in left), default=1)
    known = {**now.replicas, goal: now.replicas.get(goal, many)}
    return _live(now.with_(quarantined={**now.quarantined, **bad}, replicas=known), goal, standbys)


def after_undo(now: Deployment, healthy: frozenset[VersionRef]) -> Deployment:
    """The rollout under way is called off: the champion has everything again, and nobody is quarantined.

    Raises:
        Refused: nothing is under way, or the champion is not ready.
    """
    if now.candidate is None:
        raise Refused(
            f"{now.model} has nothing to undo: no rollout is under way",
            then=f"`turnout rollback {now.model}` goes back to the version before.",
        )
    champion = _champion(now)
    if champion not in healthy:
        raise Refused(
            f"{champion} is not ready, so the rollout of {now.candidate} stays as it is",
            then=f"`turnout rollback {now.model} --to REF` goes to another version.",
        )
    return _live(now, champion, now.standbys)


def after_down(now: Deployment) -> Deployment:
    """Nothing of the model runs; the champion is remembered, and so are the quarantines."""
    if now.phase is Phase.EMPTY:
        return now
    return now.with_(
        phase=Phase.EMPTY,
        split=Split(now.model, {}, generation=_next(now)),
        candidate=None,
        standbys=(),
        bake_until=None,
        replicas={ref: count for ref, count in now.replicas.items() if ref == now.champion},
    )


def after_up(now: Deployment) -> Deployment:
    """The champion that was stopped serves again; a model that never had one stays as it is."""
    if now.phase is not Phase.EMPTY or now.champion is None:
        return now
    return _live(now, now.champion, ())


def salvaged(split: Split) -> Deployment:
    """What a split must have come from, when the record of it is lost: whoever carries most is the champion."""
    champion = max(split.weights, key=split.weights.__getitem__)
    others = [ref for ref, weight in split.weights.items() if weight and ref != champion]
    if split.shadow or others:
        phase = Phase.CANARY if others else Phase.SHADOW
        return Deployment(split.model, phase, split, champion, others[0] if others else split.shadow)
    return Deployment(split.model, Phase.LIVE, split, champion)


def makeshift(deployment: Deployment, up: frozenset[VersionRef]) -> Split | None:
    """The split to route while some of the recorded versions are down; None when none is up.

    The stable version takes over what a missing one had; without any of the split, the first standby that is up does.
    """
    if deployment.split is None or not deployment.split.weights or deployment.split.versions <= up:
        return deployment.split
    weights = {ref: weight for ref, weight in deployment.split.weights.items() if ref in up}
    heir = next((ref for ref in (*weights, *deployment.standbys) if ref in up), None)
    if heir is None:
        return None
    weights[heir] = weights.get(heir, 0) + 100 - sum(weights.values())
    shadow = deployment.split.shadow if deployment.split.shadow in up - set(weights) else None
    return replace(deployment.split, weights=weights, shadow=shadow)


def _carrying(deployment: Deployment) -> frozenset[VersionRef]:
    if deployment.split is None:
        return frozenset()
    shadow = {deployment.split.shadow} if deployment.split.shadow else set()
    return frozenset(shadow | {ref for ref, weight in deployment.split.weights.items() if weight})


def _check_numbers(share: Share, replicas: int | None) -> None:
    if share != "shadow" and not (isinstance(share, int) and 1 <= share <= 100):
        raise BadInput(f"{share!r} is no share of the traffic", instead="it is 1 to 100 percent, or a shadow")
    if replicas is not None and not 1 <= replicas <= MAX_REPLICAS:
        raise BadInput(f"{replicas} replicas are not possible", instead=f"it is 1 to {MAX_REPLICAS}")


def _without_quarantine(now: Deployment, ref: VersionRef, forced: str) -> Deployment:
    if ref not in now.quarantined:
        return now
    if not forced:
        raise Refused(
            f"{ref} is quarantined: {now.quarantined[ref]}",
            then=f"`turnout deploy {ref} --force --reason TEXT` overrides it.",
        )
    return now.with_(quarantined={bad: why for bad, why in now.quarantined.items() if bad != ref})


def _first(now: Deployment, ref: VersionRef, share: Share, rollout: str, replicas: int) -> Deployment:
    if share == "shadow":
        raise Refused(
            f"{now.model} serves nothing, so there are no requests to copy to {ref}",
            then=f"`turnout deploy {ref}` makes it the first version.",
        )
    # Whatever share was asked for: nobody else could answer the rest.
    return _live(now.with_(rollout=rollout, replicas={ref: replicas}), ref, ())


def _champion_again(now: Deployment, share: Share, healthy: frozenset[VersionRef]) -> Deployment:
    if now.phase is Phase.LIVE:
        return now
    if share != 100:
        raise Refused(
            f"{now.champion} is the champion already",
            instead=f"{now.candidate} is under way beside it",
            then=f"`turnout undo {now.model}` or `turnout rollback {now.model}` gives {now.champion} everything again.",
        )
    return after_undo(now, healthy)


def _replicas(now: Deployment, ref: VersionRef, asked: int | None) -> int:
    if ref in now.running:
        there = now.replicas.get(ref, 1)
        if asked not in (None, there):
            raise Refused(f"{ref} runs with {there} replicas already", instead="a version keeps them while it runs")
        return there
    carrier = max(now.split.weights, key=now.split.weights.__getitem__) if now.split else None
    return asked or (now.replicas.get(carrier, 1) if carrier else 1)


def _turned_away(now: Deployment, incoming: VersionRef, reason: str) -> Deployment:
    standbys = tuple(ref for ref in now.standbys if ref != incoming)
    return _trimmed(now.with_(standbys=standbys, quarantined={**now.quarantined, incoming: reason}))


def _goal(
    now: Deployment, to: VersionRef | None, healthy: frozenset[VersionRef], leaves: VersionRef | None
) -> VersionRef:
    if to is None:
        proven = [now.champion, *now.standbys] if now.candidate else now.standbys
        for ref in proven:
            if ref is not None and ref in healthy and ref not in now.quarantined:
                return ref
        raise Refused(
            f"{now.model} has nowhere to go from {leaves}: no proven version is warm and ready",
            then=f"`turnout rollback {now.model} --to REF` starts a packaged one.",
        )
    if to == leaves:
        raise Refused(f"{to} is the version to be left", then=f"`turnout versions {now.model}` lists the others.")
    if to in now.quarantined:
        raise Refused(
            f"{to} is quarantined: {now.quarantined[to]}",
            then=f"`turnout deploy {to} --force --reason TEXT` overrides it.",
        )
    if to in now.running and to not in healthy:
        raise _not_ready(to)
    return to


def _baking(
    now: Deployment, bake_until: Moment | None, healthy: frozenset[VersionRef], keep: int, holdback: int = 0
) -> Deployment:
    champion, candidate = _champion(now), now.candidate
    if candidate is None:
        raise Refused(f"{now.model} has no candidate")
    sticky = now.split.sticky if now.split else None
    # The champion stays in the split even with no share: it takes over when the candidate fails.
    weights = {champion: holdback, candidate: 100 - holdback} if champion in healthy else {candidate: 100}
    split = Split(now.model, weights, sticky=sticky if holdback else None, generation=_next(now))
    baking = now.with_(phase=Phase.BAKING, split=split, bake_until=bake_until)
    return _trimmed(baking) if bake_until else after_bake(baking, keep)


def _live(now: Deployment, champion: VersionRef, standbys: Iterable[VersionRef]) -> Deployment:
    split = Split(now.model, {champion: 100}, generation=_next(now))
    live = now.with_(phase=Phase.LIVE, split=split, champion=champion, candidate=None, bake_until=None)
    return _trimmed(live.with_(standbys=tuple(standbys)))


def _unless_same(now: Deployment, after: Deployment) -> Deployment:
    after = _trimmed(after)
    if now.split and after.split and replace(after.split, generation=now.split.generation) == now.split:
        return now
    return after


def _trimmed(after: Deployment) -> Deployment:
    return after.with_(replicas={ref: count for ref, count in after.replicas.items() if ref in after.running})


def _champion(now: Deployment) -> VersionRef:
    if now.champion is None:
        raise Refused(f"{now.model} has no champion")
    return now.champion


def _next(now: Deployment) -> int:
    return now.split.generation + 1 if now.split else 1


def _not_ready(ref: VersionRef) -> Refused:
    return Refused(
        f"{ref} is not ready, so it gets no traffic", then=f"`turnout logs {ref}` shows why; call again when it is."
    )
