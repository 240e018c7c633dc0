"""What a deployment becomes when a version comes: it is deployed, promoted, and its bake ends."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import BadInput, Refused
from pipelines.policy.deployment.back import after_undo
from pipelines.policy.deployment.parts import champion_of, live, next_generation, not_ready, trimmed
from pipelines.values import Bento, Deployment, Moment, Phase, Share, Split, Sticky, VersionRef

MAX_REPLICAS = 64


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
        Refused: a quarantined version without a reason, a version that is not ready, another one is baking, or nobody
            would answer beside a shadow.
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
        raise not_ready(ref)
    same = ref == now.candidate
    rollout = now.rollout if same else rollout
    sticky = replace(sticky, salt=rollout) if sticky else (now.split.sticky if same and now.split else None)
    begun = now.with_(candidate=ref, rollout=rollout, replicas={**now.replicas, ref: replicas})
    begun = begun.with_(standbys=tuple(old for old in now.standbys if old != ref))
    if share == 100:
        return now if same and now.phase is Phase.BAKING else _baking(begun, bake_until, healthy, keep)
    champion = champion_of(now)
    if share == "shadow":
        _refuse_silence(now, champion, healthy)
        split = Split(now.model, {champion: 100}, shadow=ref, generation=next_generation(now))
    else:
        split = Split(now.model, {champion: 100 - share, ref: share}, sticky=sticky, generation=next_generation(now))
    phase = Phase.SHADOW if share == "shadow" else Phase.CANARY
    return _unless_same(now, begun.with_(phase=phase, split=split, bake_until=None))


def _refuse_silence(now: Deployment, champion: VersionRef, healthy: frozenset[VersionRef]) -> None:
    """With a shadow only the champion answers: not while it is down and another one stands in for it."""
    weights = now.split.weights if now.split else {}
    serving = [str(ref) for ref, weight in weights.items() if weight and ref in healthy]
    if champion not in healthy and serving:
        raise Refused(
            f"{champion} is not ready, and {' and '.join(serving)} answers for it",
            instead="a shadow answers nobody",
            then=f"`turnout logs {champion}` says what ails it; a deploy with `--canary 100` replaces it.",
        )


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
        raise not_ready(now.candidate)
    return _baking(now, bake_until, healthy, keep, holdback)


def after_bake(now: Deployment, keep: int) -> Deployment:
    """The baked version is the champion; the one before it stays warm, `keep` versions in all."""
    if now.phase is not Phase.BAKING or now.candidate is None:
        return now
    champion = now.candidate
    standbys = [ref for ref in (now.champion, *now.standbys) if ref is not None and ref != champion]
    return live(now, champion, standbys[:keep])


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
    return live(now.with_(rollout=rollout, replicas={ref: replicas}), ref, ())


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


def _baking(
    now: Deployment, bake_until: Moment | None, healthy: frozenset[VersionRef], keep: int, holdback: int = 0
) -> Deployment:
    champion, candidate = champion_of(now), now.candidate
    if candidate is None:
        raise Refused(f"{now.model} has no candidate")
    sticky = now.split.sticky if now.split else None
    # The champion stays in the split even with no share: it takes over when the candidate fails.
    weights = {champion: holdback, candidate: 100 - holdback} if champion in healthy else {candidate: 100}
    split = Split(now.model, weights, sticky=sticky if holdback else None, generation=next_generation(now))
    baking = now.with_(phase=Phase.BAKING, split=split, bake_until=bake_until)
    return trimmed(baking) if bake_until else after_bake(baking, keep)


def _unless_same(now: Deployment, after: Deployment) -> Deployment:
    after = trimmed(after)
    if now.split and after.split and replace(after.split, generation=now.split.generation) == now.split:
        return now
    return after
