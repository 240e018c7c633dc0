"""What the judge of a canary has to know of the answers: how long they took and what they said, by split.

The gateway marks each judged request with the version that was chosen for it and the generation of the split:
`x-turnout-arm: digits@8 12`, and with the rollout where users stay with their version: `digits@8 12 SALT`. A request
without that header was forced here, or has come directly; one that names another version was saved by this one. None of
these counts. Only the event loop writes here, and each request adds to plain numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import frexp, isfinite
from typing import Any, Final

from pipelines.serving.outputs import LABEL, PROBABILITIES, Arrays
from pipelines.values.signature import Field, Signature

ARM_HEADER: Final = b"x-turnout-arm"
USER_HEADER: Final = b"x-turnout-user"
FAILURE_HEADER: Final = b"x-turnout-failure"
"""Marks a refusal that is the version's fault and not the client's, by its kind."""

BOUNDS: Final = tuple(1e-5 * 1.1**step for step in range(170))
"""Upper bounds of the service times that are told apart, in seconds: 10 microseconds to 100 seconds, a tenth apart."""

MOST_ARMS: Final = 16
MOST_KINDS: Final = 512
MOST_USERS: Final = 200_000
_LABELS: Final = 64

Prediction = int | str
"""What the first row of an answer says, roughly: the place of the largest of several numbers, a label, or about which
number. The order of numbers is kept."""


class Arm:
    """The judged answers of one version under one split.

    Args:
        users: Of whom one was counted already; None where each request counts.
    """

    __slots__ = ("answered", "predictions", "seconds", "users")

    def __init__(self, users: set[bytes] | None) -> None:
        self.answered = 0
        self.seconds = [0] * (len(BOUNDS) + 1)
        self.predictions: dict[Prediction, int] = {}
        self.users = users

    def add(self, seconds: float, prediction: Prediction | None, user: bytes | None) -> None:
        """Count an answer.

        Args:
            seconds: From the whole body to the finished answer, waiting for a turn left out.
            prediction: What it says; None when that is not known.
            user: Whose request it was. Of one user only the first counts: the others would say the same.
        """
        users = self.users
        if users is not None:
            if user is None or user in users or len(users) >= MOST_USERS:
                return
            users.add(user)
        self.answered += 1
        self.seconds[bisect_left(BOUNDS, seconds)] += 1
        if prediction is not None:
            known = self.predictions
            if prediction in known:
                known[prediction] += 1
            elif len(known) < MOST_KINDS:
                known[prediction] = 1

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON: `seconds` by number of bucket, of those that are not 0."""
        return {
            "answered": self.answered,
            "seconds": {str(place): count for place, count in enumerate(self.seconds) if count},
            "predictions": {str(what): count for what, count in self.predictions.items()},
        }


class Arms:
    """The latest splits that a version had a part in.

    Args:
        ref: The version, as the header writes it.
    """

    def __init__(self, ref: str) -> None:
        self._ref = ref
        self._arms: dict[bytes, Arm | None] = {}
        self._users: dict[str, set[bytes]] = {}

    def of(self, header: bytes) -> Arm | None:
        """Where a request with this header counts; None when it does not."""
        try:
            return self._arms[header]
        except KeyError:
            return self._new(header)

    def as_dict(self) -> dict[str, Any]:
        """The counts by generation, as JSON."""
        found: dict[str, Any] = {}
        for header, arm in list(self._arms.items()):
            if arm is not None:
                found[header.decode("latin-1").split(" ")[1]] = arm.as_dict()
        return found

    def _new(self, header: bytes) -> Arm | None:
        parts = header.decode("latin-1").split(" ")
        arm = None
        if len(parts) in (2, 3) and parts[0] == self._ref and parts[1].isascii() and parts[1].isdigit():
            arm = Arm(self._users_of(parts[2]) if len(parts) == 3 else None)
        if len(self._arms) >= MOST_ARMS:
            del self._arms[next(iter(self._arms))]
        self._arms[header] = arm
        return arm

    def _users_of(self, salt: str) -> set[bytes]:
        """One set for all splits of a rollout."""
        if salt not in self._users:
            self._users = {salt: set()}
        return self._users[salt]


def prediction_reader(signature: Signature) -> Callable[[Arrays], Prediction | None]:
    """What reads the first row of answers of this form."""
    named = {field.name: field for field in signature.outputs}
    field = named.get(LABEL) or named.get(PROBABILITIES) or signature.outputs[0]
    name = field.name
    if field.shape in ((), (1,)):
        tell = _label if not field.is_numeric else (_number if field.is_float else _whole)
        return _careful(lambda arrays: tell(arrays[name].item(0)))
    if _is_vector(field):
        return _careful(lambda arrays: int(arrays[name][0].argmax()))
    return lambda arrays: None  # noqa: ARG005


def _careful(read: Callable[[Arrays], Prediction]) -> Callable[[Arrays], Prediction | None]:
    """The answer has been found already: that it is not understood here must not spoil it."""

    def read_or_not(arrays: Arrays) -> Prediction | None:
        try:
            return read(arrays)
        except (AttributeError, LookupError, TypeError, ValueError):
            return None

    return read_or_not


def _is_vector(field: Field) -> bool:
    return field.is_numeric and sum(size != 1 for size in field.shape) == 1


def _label(value: Any) -> str:
    return str(value)[:_LABELS]


def _whole(value: int) -> int | str:
    return value if -128 <= value <= 127 else _number(float(value))


def _number(value: float) -> str:
    """`~` and the number's place among eighths of the powers of two, which keeps the order."""
    if value == 0 or not isfinite(value):
        return "~0"
    fraction, exponent = frexp(abs(value))
    place = (exponent + 1075) * 8 + int(fraction * 16) - 8
    return f"~{place if value > 0 else -place}"
