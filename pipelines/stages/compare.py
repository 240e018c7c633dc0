"""compare: where two versions that got the same requests disagree, by what their hosts have kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import BadInput, Refused
from pipelines.policy.answers import said, said_of_truth
from pipelines.policy.comparing import Disagreement, Pair, disagreement
from pipelines.stages.resolve import resolve
from pipelines.values import Captured, VersionRef

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.ports import Captures
    from pipelines.stages.resolve import Control
    from pipelines.values import VersionSpec


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions, and how far they agree.

    Args:
        left: One of them.
        right: The other one.
        found: What was found.
        requests: How many requests both have answered, of those that were kept.
        unread: Rows that one of them answered with neither a class nor a number.
    """

    left: VersionRef
    right: VersionRef
    found: Disagreement
    requests: int
    unread: int


def compare(
    left: VersionSpec,
    right: VersionSpec,
    control: Control,
    captures: Captures,
    *,
    since: datetime | None = None,
    tolerance: float | None = None,
) -> Comparison:
    """Join what two versions have kept of the same requests.

    A whole number is a class, as it is to labels, unless a tolerance is given.

    Raises:
        BadInput: they are of two models, or one and the same; or the tolerance is negative.
        NoSuchVersion: an alias points nowhere.
        Refused: there is no request that both answered; the message says what is missing.
    """
    one, other = resolve(left, control), resolve(right, control)
    if one.model != other.model or one == other:
        raise BadInput(f"{one} and {other} cannot be compared", instead="two versions of one model can")
    if tolerance is not None and not tolerance >= 0:
        raise BadInput(f"a tolerance of {tolerance} is none", instead="it is a number from 0")
    ours = {each.id: each for each in _after(captures.read(one), since)}
    shared = [(ours[each.id], each) for each in _after(captures.read(other), since) if each.id in ours]
    if not shared:
        raise _nothing(one, other, captures)
    rows = [row for pair in shared for row in _rows(*pair, are_numbers=tolerance is not None)]
    pairs = [row for row in rows if row is not None]
    if not pairs:
        what = f"{one} and {other} answer with neither classes nor numbers"
        raise Refused(what, instead="only those can be compared")
    return Comparison(one, other, disagreement(pairs, tolerance), len(shared), len(rows) - len(pairs))


def _after(kept: Iterable[Captured], since: datetime | None) -> Iterator[Captured]:
    return (each for each in kept if since is None or each.at >= since)


def _rows(left: Captured, right: Captured, *, are_numbers: bool) -> Iterator[Pair | None]:
    inputs: list[Any] = left.inputs or right.inputs or []
    for row, (ours, theirs) in enumerate(zip(left.outputs or (), right.outputs or (), strict=False)):
        mine, yours = said_of_truth(ours), said_of_truth(theirs)
        if are_numbers or type(mine) is not type(yours):
            mine, yours = said(ours), said(theirs)
        if mine is None or yours is None:
            yield None
        else:
            yield Pair(left.id, row, inputs[row] if row < len(inputs) else None, mine, yours)


def _nothing(one: VersionRef, other: VersionRef, captures: Captures) -> Refused:
    kept = set(captures.versions(one.model))
    silent = [str(ref) for ref in (one, other) if ref not in kept]
    if silent:
        what = f"nothing of {' and '.join(silent)} was kept"
        then = f"`[tool.turnout.models.{one.model}.capture]` with a `rate` above 0 keeps requests of what serves."
    else:
        what = f"no request was answered by both {one} and {other}"
        then = f"`turnout deploy {other} --shadow` gives it copies of the requests."
    return Refused(what, instead="a comparison needs requests that both have answered", then=then)
