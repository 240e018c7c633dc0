"""rollback and undo: the ways back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.errors import BadInput
from pipelines.stages.resolve import each_once, not_packaged, resolve

if TYPE_CHECKING:
    from pipelines.ports import Reporter
    from pipelines.stages.resolve import Control
    from pipelines.values import VersionSpec


def rollback(
    model: str,
    control: Control,
    reporter: Reporter,
    *,
    to: VersionSpec | None = None,
    reason: str | None = None,
    quarantine: bool = True,
    is_dry: bool = False,
) -> dict[str, Any]:
    """Go back to the last proven version, or to `to`; never waits for another operator.

    Returns:
        The model's entry in the status afterwards, or the plan when the run is dry.

    Raises:
        Refused: there is nowhere to go.
        ServeFailed: a cold version did not get ready; what ran runs still.
    """
    arguments: dict[str, Any] = {"reason": reason or "", "quarantine": quarantine, "dry_run": is_dry, "to": None}
    if to is not None:
        if to.model != model:
            raise BadInput(f"{to} is no version of {model}", instead=f"--to takes {model}@N")
        ref = resolve(to, control)
        if control.catalogue.get(ref) is None:
            raise not_packaged(ref, control)
        arguments["to"] = str(ref)
    return control.operator.operate("rollback", model, arguments, each_once(reporter.step))


def undo(model: str, control: Control, reporter: Reporter, *, is_dry: bool = False) -> dict[str, Any]:
    """Call off what is under way: a canary, a shadow, or a promotion that still bakes. Nobody is quarantined.

    Raises:
        Refused: nothing is under way, or the version before is not ready.
    """
    return control.operator.operate("undo", model, {"dry_run": is_dry}, each_once(reporter.step))
