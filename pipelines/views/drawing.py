"""Scales and bars, as SVG and in characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.views.blocks import Bar, Scale, Tone
from pipelines.views.style import SHARES

WIDTH, HEIGHT = 170, 16
"""Of a scale as SVG, in pixels."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """The characters of a drawing.

    Args:
        out: Outside of what is allowed.
        room: Within it.
        bound: Its ends.
        interval: The interval of the number.
        value: The number.
        shares: The parts of a bar, one after the other.
        mark: A point on a timeline.
        arrow: From here to there.
    """

    out: str
    room: str
    bound: str
    interval: str
    value: str
    shares: str
    mark: str
    arrow: str


FINE = Strokes("┄", "─", "┃", "━", "●", "█▒▓░▚", "●", "→")
PLAIN = Strokes(".", "-", "|", "=", "o", "#=%-:", "*", "->")


def strokes(encoding: str) -> Strokes:
    """What a stream of that encoding can write."""
    try:
        "".join((FINE.out, FINE.room, FINE.bound, FINE.interval, FINE.value, FINE.shares, FINE.arrow)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return FINE


def scale_text(scale: Scale, width: int, marks: Strokes) -> str:
    """`┄┄┄┃──━━●━━──`: the allowed range, its bounds, the interval and the number."""

    def at(number: float) -> int:
        return min(width - 1, int(scale.place(number) * width))

    first = at(scale.low) if scale.low is not None else 0
    last = at(scale.high) if scale.high is not None else width - 1
    drawn = [marks.room if first <= number <= last else marks.out for number in range(width)]
    if scale.interval:
        for number in range(at(scale.interval[0]), at(scale.interval[1]) + 1):
            drawn[number] = marks.interval
    for bound in (scale.low, scale.high):
        if bound is not None:
            drawn[at(bound)] = marks.bound
    drawn[at(scale.value)] = marks.value
    return "".join(drawn)


def bar_text(bar: Bar, width: int, marks: Strokes) -> tuple[str, list[str]]:
    """The bar in characters, and what each part is called."""
    lengths = _lengths([share for _, share in bar.parts], width)
    kinds = [marks.shares[number % len(marks.shares)] for number in range(len(bar.parts))]
    named = [f"{kind} {name} {share_text(share)}" for kind, (name, share) in zip(kinds, bar.parts, strict=True)]
    return "".join(kind * length for kind, length in zip(kinds, lengths, strict=True)), named


def share_text(share: float) -> str:
    """`12.5 %`."""
    return f"{share:.4g} %"


def scale_svg(scale: Scale, tone: Tone) -> str:
    """The allowed range shaded, its bounds as strokes, the number as a dot, its interval as a line."""

    def x(value: float) -> float:
        return round(4 + (WIDTH - 8) * scale.place(value), 1)

    middle = HEIGHT / 2
    left = x(scale.low) if scale.low is not None else 0
    right = x(scale.high) if scale.high is not None else WIDTH
    parts = [
        f'<rect x="{left}" y="3" width="{max(0.0, round(right - left, 1))}" height="10" fill="#8886"/>',
        f'<line x1="0" y1="{middle}" x2="{WIDTH}" y2="{middle}" stroke="#888"/>',
    ]
    parts += [
        f'<line x1="{x(bound)}" y1="0" x2="{x(bound)}" y2="16" stroke="#888" stroke-width="2"/>'
        for bound in (scale.low, scale.high)
        if bound is not None
    ]
    if scale.interval:
        start, end = (x(value) for value in scale.interval)
        parts.append(
            f'<line x1="{start}" y1="{middle}" x2="{end}" y2="{middle}" stroke="currentColor" stroke-width="3"/>'
        )
        parts += [
            f'<line x1="{end}" y1="4" x2="{end}" y2="12" stroke="currentColor" stroke-width="2"/>'
            for end in (start, end)
        ]
    parts.append(f'<circle cx="{x(scale.value)}" cy="{middle}" r="4.5" fill="currentColor"/>')
    return f'<svg class="{tone.value}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def bar_svg(bar: Bar) -> str:
    """The bar alone; its parts are named beside it."""
    widths = _lengths([share for _, share in bar.parts], 1000)
    parts, left = [], 0
    for number, width in enumerate(widths):
        color = SHARES[number % len(SHARES)]
        parts.append(f'<rect x="{left}" y="0" width="{max(0, width - 2)}" height="12" fill="{color}"/>')
        left += width
    drawn = "".join(parts)
    return f'<svg viewBox="0 0 1000 12" height="12" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'


def _lengths(shares: Sequence[float], width: int) -> list[int]:
    """Whole lengths for shares; together the width, and none is lost that is more than nothing."""
    sound = [share if math.isfinite(share) and share > 0 else 0.0 for share in shares]
    most = max(sound, default=0.0)
    if not most:
        return [0] * len(sound)
    # Each by the largest first: a sum of very large numbers is infinite.
    total = sum(share / most for share in sound)
    lengths = [max(1, round(width * (share / most) / total)) if share else 0 for share in sound]
    # What rounding added or took is the longest ones': those of length 1 have nothing to give.
    while sum(lengths) != width and (max(lengths) > 1 or sum(lengths) < width):
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        lengths[longest] += 1 if sum(lengths) < width else -1
    return lengths
