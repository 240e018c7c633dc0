"""What each version's rows are held against, as its bento has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pipelines.errors import TurnoutError
from pipelines.ports import Catalogue
from pipelines.values import Manifest, Signature, VersionRef
from pipelines.values.drift import REFERENCE_NAME, Reference

NONE = "no reference: its bento was packaged without one"
UNREADABLE = "no reference: that of its bento cannot be read"


@dataclass(frozen=True, slots=True)
class Known:
    """A version's reference, or why there is none.

    Args:
        reference: What its rows are held against; empty where there is none.
        signature: Of its requests.
        digest: Tells it from another reference; empty where there is none.
        missing: Why there is none; empty where there is one.
    """

    reference: Reference
    signature: Signature | None
    digest: str
    missing: str = ""


class References:
    """Reads references, each once as long as its file does not change.

    Args:
        catalogue: Where the bentos are.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[VersionRef, tuple[tuple[str, int], Known]] = {}

    def of(self, ref: VersionRef) -> Known:
        """A version's."""
        try:
            bento = self._catalogue.get(ref)
        except TurnoutError as error:
            return Known(Reference(), None, "", f"{UNREADABLE}: {error.what}")
        sources = Path(bento.sources) if bento else Path()
        file = sources / REFERENCE_NAME
        try:
            seen = (str(file), file.stat().st_mtime_ns)
        except OSError:
            again = f"; `turnout package {ref}` makes it again, with one"
            return Known(Reference(), None, "", NONE + again)
        known = self._known.get(ref)
        if known is None or known[0] != seen:
            known = self._known[ref] = (seen, _read(sources, file))
        return known[1]


def _read(sources: Path, file: Path) -> Known:
    try:
        body = file.read_bytes()
        reference = Reference.from_dict(json.loads(body))
        signature = Manifest.read(sources).interface
    except TurnoutError as error:
        return Known(Reference(), None, "", f"{UNREADABLE}: {error.what}")
    except (OSError, ValueError, RecursionError) as error:
        return Known(Reference(), None, "", f"{UNREADABLE}: {error}")
    if not reference.features:
        why = "; ".join(reference.left_out) or "it has no features"
        return Known(reference, None, "", f"no reference: {why}")
    return Known(reference, signature, sha256(body).hexdigest()[:16])
