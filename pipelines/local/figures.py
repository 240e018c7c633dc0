"""The live figures of each version: a room of the daemon.

Requests and failures are the gateway's, by the version that was chosen and its first attempt, as in the status: copies
for a shadow and requests forced to a version by a header are not among them. The times are those that the hosts
measure, from a request's head to its answer, of everything they are asked: so they tell of the version itself, without
the gateway and without a failover; the gateway's own quantiles stand still between its flushes, and know whole
milliseconds only.

Rates are of the last 10 s, failed shares and quantiles of the last minute, the history of the last five minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from pipelines.errors import BadInput
from pipelines.local.rooms import Room
from pipelines.policy.figures import cells, quantile, thinned
from pipelines.values.figures import Cell, Counted, Look

RATE_SECONDS = 10.0
SHARE_SECONDS = 60.0
POINTS, STEP_SECONDS = 60, 5.0
"""Of the history."""
WATCHED_PAUSE, IDLE_PAUSE = 1.0, 5.0
"""Seconds between two looks while somebody watches, and while nobody does."""
ATTENTION_SECONDS = 15.0
"""How long after a question somebody is taken to watch."""
EVENTS = 20
_FRESH_SECONDS = 0.2


class Figures:
    """Looks at the counters now and then, and tells rates and quantiles.

    Args:
        read: What is counted of each version now, by REF.
        events: The latest events of a model, the latest first; its arguments are the model and how many.
        clock: Seconds, rising.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, Counted]],
        events: Callable[[str, int], Sequence[Mapping[str, Any]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._events, self._clock = read, events, clock
        self._lock = Lock()
        self._looks: list[Look] = []
        self._asked = -ATTENTION_SECONDS - clock()

    def room(self) -> Room:
        """As a part of the daemon: `GET /figures?model=NAME`."""
        return Room(loops=((self.tick, WATCHED_PAUSE),), questions={"figures": self.answer})

    def tick(self) -> None:
        """Look, if it is time to; called every second."""
        is_watched = self._clock() - self._asked < ATTENTION_SECONDS
        self._look((WATCHED_PAUSE if is_watched else IDLE_PAUSE) - 0.1)

    def answer(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """One model: its versions with their figures, and its latest events.

        Raises:
            BadInput: no model is named.
        """
        model = asked.get("model", "")
        if not model:
            raise BadInput("figures are of a model", instead="the question names it")
        self._asked = self._clock()
        self._look(_FRESH_SECONDS)
        with self._lock:
            looks = list(self._looks)
        now = looks[-1].at
        refs = sorted(ref for ref in looks[-1].versions if ref.rpartition("@")[0] == model)
        return {
            "model": model,
            "rate_seconds": RATE_SECONDS,
            "share_seconds": SHARE_SECONDS,
            "step_seconds": STEP_SECONDS,
            "versions": {ref: _version(looks, ref, now) for ref in refs},
            "events": [dict(event) for event in self._events(model, EVENTS)],
        }

    def _look(self, pause: float) -> None:
        """Look, unless that was done within the last `pause` seconds."""
        with self._lock:
            now = self._clock()
            if self._looks and now - self._looks[-1].at < pause:
                return
            self._looks.append(Look(now, self._read()))
            oldest = POINTS * STEP_SECONDS + IDLE_PAUSE
            kept = thinned(self._looks, now, recent=RATE_SECONDS + IDLE_PAUSE, apart=IDLE_PAUSE - 0.5, oldest=oldest)
            self._looks = kept


def _version(looks: Sequence[Look], ref: str, now: float) -> dict[str, Any]:
    (lately,) = cells(looks, ref, (now - RATE_SECONDS, now))
    (minute,) = cells(looks, ref, (now - SHARE_SECONDS, now))
    edges = [now - STEP_SECONDS * number for number in range(POINTS, -1, -1)]
    past = cells(looks, ref, edges)
    total = looks[-1].versions[ref]
    return {
        "requests": int(total.requests),
        "failures": int(total.failures),
        "requests_per_second": _rounded(lately.requests_per_second),
        "failures_per_second": _rounded(lately.failures_per_second),
        "failed_share": _rounded(minute.failed_share, 6),
        **{f"p{percent}_ms": _milliseconds(minute, percent / 100) for percent in (50, 95, 99)},
        "history": {
            "requests_per_second": [_rounded(cell.requests_per_second) for cell in past],
            "failures_per_second": [_rounded(cell.failures_per_second) for cell in past],
            "p95_ms": [_milliseconds(cell, 0.95) for cell in past],
        },
    }


def _milliseconds(cell: Cell, share: float) -> float | None:
    seconds = quantile(cell.counted.seconds, share)
    return None if seconds is None else _rounded(seconds * 1000)


def _rounded(number: float | None, digits: int = 3) -> float | None:
    return None if number is None else round(number, digits)
