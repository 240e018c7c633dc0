"""Scales and bars, as SVG and in characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.views.blocks import Bar, Scale, Spark, Tone
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
        levels: From nothing to the most.
    """

    out: str
    room: str
    bound: str
    interval: str
    value: str
    shares: str
    mark: str
    arrow: str
    levels: str


FINE = Strokes("┄", "─", "┃", "━", "●", "█▒▓░▚", "●", "→", " ▁▂▃▄▅▆▇█")
PLAIN = Strokes(".", "-", "|", "=", "o", "#=%-:", "*", "->", " _.-~=+*#")


def strokes(encoding: str) -> Strokes:
    """What a stream of that encoding can write."""
    try:
        "".join(
            (FINE.out, FINE.room, FINE.bound, FINE.interval, FINE.value, FINE.shares, FINE.arrow, FINE.levels)
        ).encode(encoding)
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


SPARK_WIDTH = 20
"""Of a sparkline in characters."""
_SVG = (72, 20)
"""Width and height of one in a page, in pixels."""


def spark_text(spark: Spark, marks: Strokes) -> str:
    """`▁▁▂▅█▇▂`: the mean of each twentieth against the largest; blank where nobody looked."""
    means = _means(spark.values, SPARK_WIDTH)
    most = max((mean for mean in means if mean is not None), default=0.0)
    blank, levels = marks.levels[0], marks.levels[1:]
    return "".join(
        blank if mean is None else levels[round((len(levels) - 1) * mean / most) if most else 0] for mean in means
    ).rstrip()


def spark_svg(spark: Spark) -> str:
    """A line for each stretch that was looked at, above the line of nothing."""
    width, height = _SVG
    values = [value if value is not None and math.isfinite(value) else None for value in spark.values]
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (width - 4) / max(1, len(values) - 1)
    lines: list[list[str]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{2 + number * step:.1f},{height - 2 - (height - 4) * value / most:.1f}")
    drawn = "".join(
        f'<polyline points="{" ".join(points)}" fill="none" stroke="currentColor" stroke-width="1.5"'
        ' stroke-linecap="round"/>'
        for points in (points * 2 if len(points) == 1 else points for points in lines)
        if points
    )
    floor = f'<line x1="0" y1="{height - 1}" x2="{width}" y2="{height - 1}" stroke="#888"/>'
    return f'<svg width="{width}" height="{height}" aria-hidden="true">{floor}{drawn}</svg>'


def _means(values: Sequence[float | None], count: int) -> list[float | None]:
    """The values in so many groups, each with its mean."""
    found: list[float | None] = []
    for number in range(count):
        group = values[number * len(values) // count : (number + 1) * len(values) // count]
        known = [value for value in group if value is not None and math.isfinite(value)]
        found.append(sum(known) / len(known) if known else None)
    return found


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
