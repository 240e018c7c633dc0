"""Blocks that several views share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pipelines.values import FUNCTIONS, Alias, Check, ModelVersion, PackageRecord, Provenance, Revision, Verdict
from pipelines.views.blocks import (
    TONES,
    Block,
    Cell,
    Facts,
    Fold,
    Grid,
    Heading,
    Line,
    Scale,
    Tone,
    number_text,
    verdict_cell,
)


def heading(version: ModelVersion, text: str = "") -> Heading:
    """The version, its verdict and its aliases."""
    badge = verdict_cell(version.verdict) if version.verdict else None
    return Heading(f"{version.ref}{text}", badge, alias_text(version.aliases))


def alias_text(aliases: Iterable[Alias]) -> str:
    """Aliases in the order of their weight."""
    return ", ".join(alias.value for alias in Alias if alias in set(aliases))


_SHOWN_VALUES = 40


def values_text(values: Mapping[str, object]) -> str:
    """Names and values in one line, and how many more there are of a great many."""
    shown = [f"{name}={number_text(value)}" for name, value in list(values.items())[:_SHOWN_VALUES]]
    more = len(values) - len(shown)
    return "  ".join([*shown, *([f"and {more} more"] if more else [])]) or "none"


def duration_text(seconds: float) -> str:
    """`0.35 s`, `12 s` or `3 min`."""
    return f"{seconds:.2g} s" if 0 <= seconds < 10 else age_text(seconds)


def age_text(seconds: float) -> str:
    """`12 s`, `3 min`, `5 h` or `2 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def provenance_facts(made_from: Provenance) -> list[tuple[str, str]]:
    """What the version was made from, as far as it is known; digests by their first twelve digits."""
    digests = (
        ("notebook", made_from.notebook_digest),
        ("data", made_from.data_digest),
        ("environment", made_from.lock_digest),
    )
    found = [(name, digest[:12]) for name, digest in digests if digest]
    return [*found, ("code", revision_text(made_from.revision))] if made_from.revision.system != "none" else found


def revision_text(revision: Revision) -> str:
    """`git 1a2b3c4d5e6f, with changes`."""
    where = revision.revision[:12] or "before the first commit"
    return f"{revision.system} {where}{', with changes' if revision.dirty else ''}"


def checks_blocks(checks: Iterable[Check]) -> list[Block]:
    """The table of checks, each drawn against what was asked, and what the verdicts that did not pass rest on."""
    found = list(checks)
    if not found:
        return [Line("No gate is set, so nothing was judged.", Tone.UNSURE)]
    rows = [[Cell(c.name), verdict_cell(c.verdict), _observed(c), Cell(c.required)] for c in found]
    table = Grid(("check", "verdict", "observed", "required"), rows, [(c.name, c.note) for c in found if c.note])
    pairs = [(c.name, _evidence(c)) for c in found if c.verdict is not Verdict.PASS]
    told = [(name, text) for name, text in pairs if text]
    return [table, Fold("Evidence of what did not pass", [Facts(told)])] if told else [table]


_IN_THE_TABLE = {"interval", "margin", "min", "max"}


def _evidence(check: Check) -> str:
    """What the table does not say already."""
    told = {
        name.replace("_", " "): value
        for name, value in check.evidence.items()
        if name not in _IN_THE_TABLE and isinstance(value, int | float | str)
    }
    return values_text(told) if told else ""


def _observed(check: Check) -> Cell:
    if check.observed is None:
        return Cell("-", is_number=True)
    text = number_text(check.observed)
    interval = check.evidence.get("interval")
    if interval:
        text = f"{check.observed:.3g} ({interval[0]:.3g} to {interval[1]:.3g})"
    return Cell(text, TONES[check.verdict], is_number=True, scale=_scale(check))


def _scale(check: Check) -> Scale | None:
    evidence, seen = check.evidence, check.observed
    if seen is None:
        return None
    if "margin" in evidence and evidence.get("interval"):
        low, high = evidence["interval"]
        scale = Scale(seen, -evidence["margin"], None, (low, high))
    elif "max" in evidence:
        scale = Scale(seen, evidence.get("min"), evidence["max"])
    else:
        return None
    return scale if all(math.isfinite(point) for point in scale.points) else None


def package_facts(package: PackageRecord) -> list[tuple[str, str]]:
    """The bento, what it holds and how it was proved."""
    facts = [("bento", package.bento), ("flavour", package.flavour), ("digest", package.digest)]
    if package.reason:
        facts.append(("because", package.reason))
    if package.parity:
        parity = package.parity
        same = "" if parity.agreement is None else f", {parity.agreement * 100:.4g} % the same top class"
        proof = f"at most {parity.max_abs_diff:.2g} apart (allowed {parity.tolerance:.2g}) on {parity.rows} rows{same}"
        facts.append(("proof", proof))
    facts += [(name, digest[:12]) for name, digest in package.service_code.items()]
    if package.forced:
        facts.append(("forced", package.forced))
    return facts


def bento_text(package: PackageRecord) -> str:
    """What a bento holds, in few words: `onnx, preprocess`."""
    return ", ".join([package.flavour, *(name for name in FUNCTIONS if name in package.service_code)])


def bytes_text(count: int) -> str:
    """A number of bytes as a person reads it."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.3g} {unit}"
        amount /= 1000
    raise AssertionError
