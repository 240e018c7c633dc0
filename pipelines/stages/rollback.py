"""rollback and undo: the ways back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipelines.errors import BadInput, Refused
from pipelines.stages.resolve import each_once, not_packaged, resolve
from pipelines.values import Phase, VersionRef, VersionSpec, read_ref
from pipelines.values.moments import in_words

if TYPE_CHECKING:
    from pipelines.ports import Reporter
    from pipelines.stages.resolve import Control
    from pipelines.values import Moment


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


def rollback_to_time(
    model: str,
    at: Moment,
    now: Moment,
    control: Control,
    reporter: Reporter,
    *,
    reason: str | None = None,
    quarantine: bool = True,
    is_dry: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Go back to the version that was live at a time; it may be cold, and is started then.

    Returns:
        What was found and done, in a sentence, and the same as `rollback`.

    Raises:
        BadInput: the time is still to come.
        Refused: nothing was live then, or what was is not there any more.
        ServeFailed: it did not get ready; what ran runs still.
    """
    ref, when = _live_at(model, at, now, control), in_words(at)
    found = f"{ref} was live at {when}"
    entry = control.operator.status()["models"].get(model, {})
    if _is_live(entry, ref):
        return f"{found} and is live now: nothing was changed", {"plan": []} if is_dry else entry
    if control.catalogue.get(ref) is None:
        raise Refused(
            f"{found}, but its bento is not there any more",
            instead="it was pruned, or its folder was removed",
            then=f"`turnout versions {model}` lists the others; `turnout rollback {model} --to REF` takes one.",
        )
    reporter.step(found)
    back = rollback(
        model,
        control,
        reporter,
        to=VersionSpec(model, ref.number),
        reason=reason or f"back to {ref}, which was live at {when}",
        quarantine=quarantine,
        is_dry=is_dry,
    )
    return f"Back to what was live at {when}: {ref}", back


def _live_at(model: str, at: Moment, now: Moment, control: Control) -> VersionRef:
    when = in_words(at)
    if at > now:
        raise BadInput(f"{when} is still to come", instead=f"it is {in_words(now)}")
    found = control.operator.ask("live_at", model=model, at=at.isoformat())
    if found["ref"]:
        return read_ref(found["ref"])
    begins = datetime.fromisoformat(found["begins"]) if found["begins"] else None
    if begins is None:
        raise Refused(
            f"{model} was never deployed, so nothing was live at {when}",
            then=f"`turnout deploy {model}@N` starts a version.",
        )
    if at < begins:
        raise Refused(
            f"nothing of {model} was live at {when}",
            instead=f"its first version was deployed at {in_words(begins)}",
            then=f"`turnout history {model}` shows what was live when.",
        )
    raise Refused(
        f"nothing of {model} was live at {when}",
        instead="it had been stopped before",
        then=f"`turnout history {model}` shows what was live when.",
    )


def _is_live(entry: Any, ref: VersionRef) -> bool:
    """Whether it has the traffic, and nothing else is under way."""
    phase = entry.get("phase")
    live = {Phase.LIVE.value: entry.get("champion"), Phase.BAKING.value: entry.get("candidate")}
    return bool(live.get(phase) == str(ref))


def undo(model: str, control: Control, reporter: Reporter, *, is_dry: bool = False) -> dict[str, Any]:
    """Call off what is under way: a canary, a shadow, or a promotion that still bakes. Nobody is quarantined.

    Raises:
        Refused: nothing is under way, or the version before is not ready.
    """
    return control.operator.operate("undo", model, {"dry_run": is_dry}, each_once(reporter.step))
