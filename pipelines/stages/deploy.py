"""deploy: start a packaged version beside the live one and give it a share of the traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import BadInput
from pipelines.stages.resolve import each_once, not_packaged, resolve

if TYPE_CHECKING:
    from pipelines.ports import Reporter
    from pipelines.stages.resolve import Control
    from pipelines.values import Share, VersionRef, VersionSpec


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """How a version is deployed.

    Args:
        share: Percent of the traffic, or `shadow`; None for the first step of the model's rollout.
        sticky_header: The header that keeps a user with a version.
        sticky_cookie: The cookie that does.
        replicas: Processes; None for as many as the live version has.
        forced: The reason to deploy in spite of gates or a quarantine; None without `--force`.
        is_waiting: Whether to wait for another operator.
        is_dry: Whether only to say what would be done.
        is_judged: Whether the daemon may ramp, promote and roll back by itself, when the project file lets it.
        is_watched: Whether to follow the rollout until it has ended.

    Raises:
        BadInput: options that exclude each other, or an impossible share.
    """

    share: Share | None = None
    sticky_header: str | None = None
    sticky_cookie: str | None = None
    replicas: int | None = None
    forced: str | None = None
    is_waiting: bool = False
    is_dry: bool = False
    is_judged: bool = True
    is_watched: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.share, int) and not 1 <= self.share <= 100:
            raise BadInput(f"{self.share} is no share of the traffic", instead="it is 1 to 100 percent")
        if self.replicas is not None and self.replicas < 1:
            raise BadInput(f"{self.replicas} replicas are not possible", instead="a version has 1 or more")
        if self.sticky_header and self.sticky_cookie:
            raise BadInput("a user's key comes from a header or a cookie", instead="one of them, not both")
        if (self.sticky_header or self.sticky_cookie) and self.share == "shadow":
            raise BadInput("a shadow answers nobody", instead="--sticky-header and --sticky-cookie need a share")
        if self.is_watched and self.share == "shadow":
            raise BadInput("a shadow is not judged, so there is no end to watch for", instead="--watch needs a share")
        if self.forced is not None and not self.forced.strip():
            raise BadInput("--force without a reason", then="Say why with --reason TEXT; it is recorded.")

    @property
    def sticky(self) -> dict[str, str] | None:
        """What keeps a user with a version, as JSON."""
        if self.sticky_header:
            return {"kind": "header", "name": self.sticky_header.lower()}
        return {"kind": "cookie", "name": self.sticky_cookie} if self.sticky_cookie else None


def deploy(
    spec: VersionSpec, options: DeployOptions, control: Control, reporter: Reporter
) -> tuple[VersionRef, dict[str, Any]]:
    """Deploy one version; return it and the model's entry afterwards, or the plan when the run is dry.

    Raises:
        NoSuchVersion: the alias points nowhere.
        Refused: it is not packaged, did not pass, or is quarantined, and no reason was given.
        PackageFailed: its bento is gone or was changed.
        Busy: another operator is at work on the model.
        ServeFailed: it did not get ready; the live version is untouched.
    """
    ref = resolve(spec, control)
    if control.catalogue.get(ref) is None:
        raise not_packaged(ref, control)
    arguments = {
        "ref": str(ref),
        "share": options.share,
        "sticky": options.sticky,
        "replicas": options.replicas,
        "force": options.forced is not None,
        "reason": options.forced or "",
        "wait": options.is_waiting,
        "dry_run": options.is_dry,
        **({} if options.is_judged else {"judge": False}),
    }
    return ref, control.operator.operate("deploy", spec.model, arguments, each_once(reporter.step))
