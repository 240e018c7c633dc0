"""How clusters and routes are called, written and read back.

A cluster's name says who was chosen and what for: `digits@8/judged`. A judged route's name says with which weights:
`judged digits 12 7=90,8=10` is generation 12. So a line of the gateway's log can be judged by itself, however late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipelines.errors import BadInput
from pipelines.values import Split, VersionRef, read_ref


class Purpose(StrEnum):
    """Why a version gets a request."""

    JUDGED = "judged"
    """By its share of the traffic: the only kind that is evidence."""
    DIRECT = "direct"
    """Asked for with the override header, or a page of the service."""
    SHADOW = "shadow"
    """A copy, whose answer is thrown away."""


JOIN_HEADER = "x-turnout-id"
"""An id that the gateway makes for each request; a client's own `x-request-id` may come twice."""
USER_HEADER = "x-turnout-user"
"""What keeps a user with its version, as the gateway read it."""
ARM_HEADER = "x-turnout-arm"
"""Tells a host that a request is judged, for which version it was chosen, and under which split."""
FAILURE_HEADER = "x-turnout-failure"
"""In a host's answer: it says 4xx, and the version is to blame all the same."""
OVERRIDE_HEADER = "x-turnout-version"
"""Asks for a version, such as `digits@8`."""


def cluster_name(ref: VersionRef, purpose: Purpose) -> str:
    """Such as `digits@8/judged`."""
    return f"{ref}/{purpose.value}"


def hosts_name(ref: VersionRef) -> str:
    """The cluster that holds the version's hosts behind the judged one, which knows the way out when they fail."""
    return f"{ref}/judged/hosts"


def read_cluster(name: str) -> tuple[VersionRef, Purpose] | None:
    """The inverse of `cluster_name`, also of `hosts_name`; None for another cluster."""
    version, slash, rest = name.partition("/")
    if not slash:
        return None
    try:
        return read_ref(version), Purpose(rest.removesuffix("/hosts"))
    except (BadInput, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Arms:
    """With which weights a judged request was routed.

    Args:
        model: The model.
        generation: Of the split.
        weights: Percent by version.
    """

    model: str
    generation: int
    weights: Mapping[VersionRef, int]


def judged_name(split: Split) -> str:
    """The name of the route that a split's judged traffic takes."""
    weights = ",".join(f"{ref.number}={weight}" for ref, weight in split.weights.items())
    return f"judged {split.model} {split.generation} {weights}"


def arm_mark(split: Split, ref: VersionRef) -> str:
    """What `ARM_HEADER` says; with the rollout where a user's answers count once."""
    salt = f" {split.sticky.salt}" if split.sticky and split.sticky.salt else ""
    return f"{ref} {split.generation}{salt}"


def read_judged(name: str) -> Arms | None:
    """The inverse of `judged_name`; None for another route."""
    parts = name.split(" ")
    if len(parts) != 4 or parts[0] != Purpose.JUDGED:
        return None
    _, model, generation, weights = parts
    try:
        pairs = [one.split("=") for one in weights.split(",")]
        return Arms(model, int(generation), {VersionRef(model, int(number)): int(weight) for number, weight in pairs})
    except ValueError:  # BadInput is one, too
        return None
