"""What is counted of a running version, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counted:
    """Counters of one version, all rising; one that falls has begun anew.

    Args:
        requests: Judged requests that the gateway gave it.
        failures: Those that it failed, by the first attempt.
        seconds: Requests by the time that its hosts took for them: by the upper bound of a bucket in seconds, the last
            one infinite. Empty where the hosts do not say.
    """

    requests: float = 0
    failures: float = 0
    seconds: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """All versions at one moment.

    Args:
        at: In seconds of a clock that only rises.
        versions: What was counted, by REF.
    """

    at: float
    versions: Mapping[str, Counted]


@dataclass(frozen=True, slots=True)
class Cell:
    """What happened in a stretch of time.

    Args:
        seconds: How much of it was looked at; 0 for nothing, which is not the same as no requests.
        counted: The increase.
    """

    seconds: float
    counted: Counted

    @property
    def requests_per_second(self) -> float | None:
        """None where nothing was looked at."""
        return self.counted.requests / self.seconds if self.seconds else None

    @property
    def failures_per_second(self) -> float | None:
        """None where nothing was looked at."""
        return self.counted.failures / self.seconds if self.seconds else None

    @property
    def failed_share(self) -> float | None:
        """From 0 to 1; None without a request."""
        return min(1.0, self.counted.failures / self.counted.requests) if self.counted.requests else None
