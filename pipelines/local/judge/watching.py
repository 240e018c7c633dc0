"""From what gateway and hosts show to what was seen of one rollout since the last look.

A look takes the hosts' answers as they were counted at the look before, and of the gateway's failures those that had
ended then: the gateway writes a failure up to 0.2 s after it happened, and both have to be of the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pipelines.local.counts import ArmCounts, HostCounts, quantile
from pipelines.local.judge.kinds import Kinds
from pipelines.local.judge.sources import Sources
from pipelines.local.telemetry import Incident, Outcome, Place
from pipelines.values import HostHealth, LabelledAnswer, VersionRef
from pipelines.values.seen import Answers, Failure, Outcomes, Seen

ENOUGH_ANSWERS = 200
"""So many answers of the stable version tell how long it takes, and what it says."""
SLOW_SHARE = 0.95
"""Of the stable version's answers that are not slow, when the project file has no `latency_ms`."""
SLOW_TIMES, SLOW_MORE_SECONDS = 4.0, 0.0005
"""How far above the stable version's usual time an answer must be to be slow, however regular that is. A process with a
small share has cold caches: of two identical versions the one with a twentieth took three times as long, 0.06 ms
instead of 0.02, and the one with a hundredth seven times."""
OUT_SECONDS = 3.0
"""A candidate that is out of rotation for so long, while the stable version is in it, has to go."""
MUTE_SECONDS = 5.0
"""A candidate that is in rotation, and whose hosts tell no counts for so long, cannot be judged. A busy one is late
now and then; what it counted meanwhile comes with the next answer."""
DIED_SECONDS = 1.0
"""When no process of the stable version was replaced so soon after one of the candidate's, it was not the machine."""


@dataclass(frozen=True)
class Pair:
    """Who is compared.

    Args:
        candidate: The version under judgement.
        stable: The one it is compared with.
        since: The generation of the split with which it began; earlier ones are not looked at.
        begun: When the rollout began, as a shadow perhaps, in seconds since 1970; None where nobody knows.
    """

    candidate: VersionRef
    stable: VersionRef
    since: int
    begun: float | None = None


@dataclass(frozen=True)
class Position:
    """How far the evidence goes; kept together with it.

    Args:
        place: In the gateway's log.
        waiting: Failures that were read, and are younger than the answers that are counted.
        hosts: The counts that were taken from each host process.
        shares: The candidate's share by generation, between 0 and 1.
        kinds: Which answers are told apart; None while too few were seen.
        slow_seconds: From how many seconds on an answer is slow; None while too few were seen.
        restarts: How often processes of candidate and stable version had been replaced; None before the first look.
        labels: The number of the last labelled answer that was counted; None before the first look at them.
        paired: Up to which number labelled answers were looked at for requests that both versions answered.
    """

    place: Place = Place()
    waiting: tuple[tuple[float, Failure], ...] = ()
    hosts: Mapping[str, HostCounts] = field(default_factory=dict)
    shares: Mapping[int, float] = field(default_factory=dict)
    kinds: Kinds | None = None
    slow_seconds: float | None = None
    restarts: tuple[int, int] | None = None
    labels: int | None = None
    paired: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The position as JSON."""
        return {
            "place": [self.place.inode, self.place.offset],
            "waiting": [[ended, one.is_candidate, one.share, one.user] for ended, one in self.waiting],
            "hosts": {instance: counts.as_dict() for instance, counts in self.hosts.items()},
            "shares": {str(generation): share for generation, share in self.shares.items()},
            "kinds": None if self.kinds is None else self.kinds.as_list(),
            "slow_seconds": self.slow_seconds,
            "restarts": None if self.restarts is None else list(self.restarts),
            "labels": self.labels,
            "paired": self.paired,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        inode, offset = data["place"]
        restarts = data["restarts"]
        return cls(
            place=Place(inode, offset),
            waiting=tuple((ended, Failure(*failure)) for ended, *failure in data["waiting"]),
            hosts={instance: HostCounts.from_dict(counts) for instance, counts in data["hosts"].items()},
            shares={int(generation): share for generation, share in data["shares"].items()},
            kinds=None if data["kinds"] is None else Kinds.from_list(data["kinds"]),
            slow_seconds=data["slow_seconds"],
            restarts=None if restarts is None else (restarts[0], restarts[1]),
            labels=data.get("labels"),
            paired=data.get("paired", 0),
        )


class Watch:
    """Looks at one rollout, again and again.

    Args:
        sources: Where to look.
        pair: Who is compared.
        monotonic: Seconds, for how long a version is out of rotation.
        now: The time of the gateway's log, in seconds since 1970.
    """

    def __init__(self, sources: Sources, pair: Pair, monotonic: Callable[[], float], now: Callable[[], float]) -> None:
        self._sources, self._pair, self._monotonic, self._now = sources, pair, monotonic, now
        self._counted: Mapping[str, HostCounts] = {}
        self._counted_at: float | None = None
        self._was_ready = (True, True)
        self._out_since: float | None = None
        self._died_at: float | None = None
        self._mute_since: float | None = None

    def look(self, position: Position, generation: int, share: float) -> tuple[Seen, Position]:
        """What came since the position, and the position after it.

        Args:
            position: How far the last look went.
            generation: Of the split that is in force.
            share: The candidate's share under it, between 0 and 1.
        """
        pair, counted, until = self._pair, self._counted, self._counted_at
        self._counted_at, self._counted = self._now(), self._sources.counts((pair.candidate, pair.stable))
        health = self._sources.health()
        incidents, place = self._sources.incidents(position.place, pair.candidate.model)
        waiting = (*position.waiting, *_failures(incidents, pair))
        # One that ends in the future was written before the clock was put back.
        is_due = [until is not None and not until < ended <= self._now() for ended, _ in waiting]
        failures = tuple(failure for (_, failure), due in zip(waiting, is_due, strict=True) if due)
        later = tuple(one for one, due in zip(waiting, is_due, strict=True) if not due)
        shares = {**position.shares, generation: share}
        labelled, labels = self._sources.labelled(pair.candidate.model, position.labels, pair.since)
        pairs, paired = self._pairs(position)
        position = replace(position, place=place, waiting=later, shares=shares, labels=labels, paired=paired)
        news, position = _news(counted, position, pair)
        ready = (_is_ready(health, pair.candidate), _is_ready(health, pair.stable))
        position, died = self._died(position, health)
        missing = self._sources.missing()
        # Without the failures of this time its answers are none either: they would look like a good version.
        news = {} if missing else news
        seen = Seen(
            candidate_ready=ready[0] and self._was_ready[0],
            stable_ready=ready[1] and self._was_ready[1],
            candidate_requests=_requests(news, pair.candidate) + sum(one.is_candidate for one in failures),
            stable_requests=_requests(news, pair.stable) + sum(not one.is_candidate for one in failures),
            candidate_users=_requests(news, pair.candidate),
            failures=failures,
            slow=tuple(_slow(news, position, pair)),
            labelled=_labelled(labelled, position, pair),
            pairs=pairs,
            answers=_answers(news, position, pair, generation),
            stop=died or self._out(health, ready),
            missing=missing or self._mute(is_ready=ready[0]),
        )
        self._was_ready = ready
        return seen, _informed(position, self._counted, pair)

    def _pairs(self, position: Position) -> tuple[tuple[int, int], int]:
        pair = self._pair
        if pair.begun is None:
            return (0, 0), position.paired
        return self._sources.pairs(pair.candidate, pair.stable, pair.begun, position.paired)

    def _died(self, position: Position, health: Mapping[VersionRef, HostHealth]) -> tuple[Position, str]:
        """Whether a process of the candidate ended, and none of the stable version with it: that was the machine."""
        refs = (self._pair.candidate, self._pair.stable)
        if refs[0] not in health:
            return position, ""
        ours, theirs = (health[ref].restarts if ref in health else 0 for ref in refs)
        known = position.restarts
        if known is None or ours < known[0] or theirs != known[1]:
            self._died_at = None
            return replace(position, restarts=(ours, theirs)), ""
        if ours == known[0]:
            return position, ""
        self._died_at = self._monotonic() if self._died_at is None else self._died_at
        is_alone = self._monotonic() - self._died_at >= DIED_SECONDS
        return position, "its process died, or hung and was replaced" if is_alone else ""

    def _mute(self, *, is_ready: bool) -> str:
        is_told = any(host.ref == self._pair.candidate for host in self._counted.values())
        if is_told or not is_ready:
            self._mute_since = None
            return ""
        self._mute_since = self._monotonic() if self._mute_since is None else self._mute_since
        is_long = self._monotonic() - self._mute_since >= MUTE_SECONDS
        return f"its hosts have not told for {MUTE_SECONDS:.0f} s what they answered" if is_long else ""

    def _out(self, health: Mapping[VersionRef, HostHealth], ready: tuple[bool, bool]) -> str:
        candidate = health.get(self._pair.candidate)
        if candidate is not None and candidate.health == "failed":
            return "its process ends again and again"
        if ready[0] or not ready[1]:
            # With both out it is the machine that stalls, not the candidate.
            self._out_since = None
            return ""
        now = self._monotonic()
        self._out_since = now if self._out_since is None else self._out_since
        return f"it was out of rotation for {OUT_SECONDS:.0f} s" if now - self._out_since >= OUT_SECONDS else ""


News = Mapping[int, Mapping[VersionRef, ArmCounts]]
"""What hosts counted since the last look, by generation and version."""


def _news(counted: Mapping[str, HostCounts], position: Position, pair: Pair) -> tuple[News, Position]:
    news: dict[int, dict[VersionRef, ArmCounts]] = {}
    taken = dict(position.hosts)
    for instance, host in counted.items():
        known = taken[instance].arms if instance in taken else {}
        judged = {generation: arm for generation, arm in host.arms.items() if generation >= pair.since}
        for generation, arm in judged.items():
            more = arm.minus(known.get(generation, ArmCounts()))
            arms = news.setdefault(generation, {})
            arms[host.ref] = arms.get(host.ref, ArmCounts()).plus(more)
        taken[instance] = HostCounts(host.ref, judged)
    return news, replace(position, hosts=taken)


def _failures(incidents: Iterable[Incident], pair: Pair) -> Iterable[tuple[float, Failure]]:
    for one in incidents:
        weight = one.arms.weights.get(pair.candidate)
        is_ours = one.chosen in (pair.candidate, pair.stable) and one.arms.generation >= pair.since
        if one.outcome is Outcome.FAILED and is_ours and weight:
            yield (one.ended or one.at).timestamp(), Failure(one.chosen == pair.candidate, weight / 100, one.user)


def _slow(news: News, position: Position, pair: Pair) -> Iterable[Outcomes]:
    limit = position.slow_seconds
    for generation, arms in sorted(news.items()):
        share = position.shares.get(generation)
        if limit is None or share is None:
            continue
        ours, theirs = (arms.get(ref, ArmCounts()) for ref in (pair.candidate, pair.stable))
        if ours.answered or theirs.answered:
            yield Outcomes(share, ours.answered, ours.slower(limit), theirs.answered, theirs.slower(limit))


def _labelled(answers: Iterable[LabelledAnswer], position: Position, pair: Pair) -> tuple[Outcomes, ...]:
    """The labels by the share under which their requests were routed, however long ago that was."""
    found: dict[float, Outcomes] = {}
    for one in answers:
        share = position.shares.get(one.generation, 0.0)
        # Where one of the two got all requests there is nothing to compare.
        if one.version in (pair.candidate, pair.stable) and 0 < share < 1:
            wrong = int(one.is_wrong)
            new = (
                Outcomes(share, candidate=1, candidate_faults=wrong)
                if one.version == pair.candidate
                else Outcomes(share, stable=1, stable_faults=wrong)
            )
            found[share] = found.get(share, Outcomes(share)).plus(new)
    return tuple(found.values())


def _answers(news: News, position: Position, pair: Pair, generation: int) -> Answers:
    arms = news.get(generation, {})
    if position.kinds is None or not arms:
        return Answers()
    ours, theirs = (arms.get(ref, ArmCounts()).predictions for ref in (pair.candidate, pair.stable))
    return Answers(position.kinds.count(ours), position.kinds.count(theirs))


def _requests(news: News, ref: VersionRef) -> int:
    return sum(arms[ref].answered for arms in news.values() if ref in arms)


def _is_ready(health: Mapping[VersionRef, HostHealth], ref: VersionRef) -> bool:
    return ref in health and health[ref].health == "ready"


def _informed(position: Position, counted: Mapping[str, HostCounts], pair: Pair) -> Position:
    """The position with what the stable version tells of itself, once that is enough, and then for good.

    Answers that were counted before the rollout tell it, and those of the rollout that are counted already; only later
    ones are judged by it, so none has a part in choosing what it is judged by.
    """
    if position.kinds is not None and position.slow_seconds is not None:
        return position
    stable = ArmCounts()
    for instance, host in counted.items():
        if host.ref == pair.stable:
            taken = position.hosts[instance].arms if instance in position.hosts else {}
            for arm in (*(arm for made, arm in host.arms.items() if made < pair.since), *taken.values()):
                stable = stable.plus(arm)
    if stable.answered < ENOUGH_ANSWERS:
        return position
    slow = position.slow_seconds or _slow_from(quantile(stable, 0.5), quantile(stable, SLOW_SHARE))
    return replace(position, kinds=position.kinds or Kinds.of(stable.predictions), slow_seconds=slow)


def _slow_from(usual: float, seldom: float) -> float:
    return max(seldom, SLOW_TIMES * usual, usual + SLOW_MORE_SECONDS)
