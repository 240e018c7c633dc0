"""Where a model's deployment stands, and what each version is there for."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a model's deployment stands."""

    EMPTY = "empty"
    """Nothing serves."""
    LIVE = "live"
    """The champion carries the traffic and nothing is under way."""
    CANARY = "canary"
    """A candidate has a share of the traffic."""
    SHADOW = "shadow"
    """A candidate gets copies of the requests; its answers are discarded."""
    BAKING = "baking"
    """A promoted version carries the traffic, and is not the champion yet."""


class Role(StrEnum):
    """What a running version is there for."""

    CHAMPION = "champion"
    CANARY = "canary"
    SHADOW = "shadow"
    BAKING = "baking"
    STANDBY = "standby"
