"""What a deployment becomes when a version goes, or all do, and when they come back."""

from __future__ import annotations

from pipelines.errors import Refused
from pipelines.policy.deployment.parts import carrying, champion_of, live, next_generation, not_ready, trimmed
from pipelines.values import Deployment, Phase, Split, VersionRef


def after_rollback(
    now: Deployment,
    to: VersionRef | None,
    *,
    healthy: frozenset[VersionRef],
    reason: str,
    quarantine: bool = True,
    incoming: VersionRef | None = None,
    is_fresh: bool = False,
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
        is_fresh: Whether a rollback has just led here. Another one without a goal means the same then: a person and
            the judge, or two persons, have seen the same harm, and the champion has done none.

    Raises:
        Refused: there is nowhere to go, or `to` is quarantined, not ready, or itself what would be left.
    """
    if incoming is not None and now.candidate is None and to in (None, now.champion):
        return _turned_away(now, incoming, reason) if quarantine else now
    if now.phase is Phase.EMPTY:
        raise Refused(f"{now.model} serves nothing", then=f"`turnout deploy {now.model}@N` starts a version.")
    if now.phase is Phase.LIVE and (to == now.champion or (to is None and is_fresh)):
        return now
    goal = _goal(now, to, healthy, now.candidate or incoming or now.champion)
    left = (carrying(now) | {ref for ref in (now.candidate, incoming) if ref is not None}) - {goal}
    bad = dict.fromkeys(sorted(left), reason) if quarantine else {}
    # A champion that is left without a verdict was proven once, and stays warm; a candidate never was.
    standbys = [ref for ref in (now.champion, *now.standbys) if ref and ref != goal and ref not in bad]
    many = max((now.replicas.get(ref, 1) for ref in left), default=1)
    known = {**now.replicas, goal: now.replicas.get(goal, many)}
    return live(now.with_(quarantined={**now.quarantined, **bad}, replicas=known), goal, standbys)


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
    champion = champion_of(now)
    if champion not in healthy:
        raise Refused(
            f"{champion} is not ready, so the rollout of {now.candidate} stays as it is",
            then=f"`turnout rollback {now.model} --to REF` goes to another version.",
        )
    return live(now, champion, now.standbys)


def after_down(now: Deployment) -> Deployment:
    """Nothing of the model runs; the champion is remembered, and so are the quarantines."""
    if now.phase is Phase.EMPTY:
        return now
    return now.with_(
        phase=Phase.EMPTY,
        split=Split(now.model, {}, generation=next_generation(now)),
        candidate=None,
        standbys=(),
        bake_until=None,
        replicas={ref: count for ref, count in now.replicas.items() if ref == now.champion},
    )


def after_up(now: Deployment) -> Deployment:
    """The champion that was stopped serves again; a model that never had one stays as it is."""
    if now.phase is not Phase.EMPTY or now.champion is None:
        return now
    return live(now, now.champion, ())


def _turned_away(now: Deployment, incoming: VersionRef, reason: str) -> Deployment:
    standbys = tuple(ref for ref in now.standbys if ref != incoming)
    return trimmed(now.with_(standbys=standbys, quarantined={**now.quarantined, incoming: reason}))


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
        raise not_ready(to)
    return to
