"""Whether a version need not be trained again, and what says that it must."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipelines.policy.reasons import changes, parameter_changes
from pipelines.values import ModelVersion, Parameter, Provenance


def reusable(
    versions: Iterable[ModelVersion],
    provenance: Provenance,
    parameters: Mapping[str, Parameter],
    service_code: Mapping[str, str] | None = None,
) -> ModelVersion | None:
    """The newest version made from the same code, data, environment and parameters; None when there is none.

    The revision of the code does not count: what the training reads of it has its own digests.

    Args:
        versions: All versions of the model, in any order.
        provenance: What a version trained now would be made from.
        parameters: What it would be trained with, the notebook's defaults included.
        service_code: Digests of the functions that would be packaged with it: a version that is packaged with others
            keeps those, and does not count. None: that does not matter.
    """
    if not provenance.notebook_digest:
        return None
    same = [
        version
        for version in versions
        if _made_from(version.provenance) == _made_from(provenance)
        and _exact(version.parameters) == _exact(parameters)
        and (service_code is None or version.package is None or dict(version.package.service_code) == service_code)
    ]
    return max(same, key=lambda version: version.ref.number, default=None)


def why_train(
    versions: Iterable[ModelVersion], provenance: Provenance, parameters: Mapping[str, Parameter]
) -> tuple[str, ...]:
    """What has changed since the newest version, where none is reusable: never empty.

    Args:
        versions: All versions of the model, in any order.
        provenance: What a version trained now would be made from.
        parameters: What it would be trained with.
    """
    newest = max(versions, key=lambda version: version.ref.number, default=None)
    if newest is None:
        return ("there is no version yet",)
    before = newest.provenance
    found = changes(before.parts, provenance.parts) if provenance.parts is not None else ()
    # The parts may be silent: of an earlier release, or too many to be kept.
    found = found or _coarse(before, provenance)
    said = (*found, *parameter_changes(newest.parameters, parameters))
    return said or (f"{newest.ref} is of other parts",)


def _coarse(before: Provenance, now: Provenance) -> tuple[str, ...]:
    pairs = {
        "a code cell": (before.notebook_digest, now.notebook_digest),
        "the data": (before.data_digest, now.data_digest),
        "an imported module": (before.code_digest, now.code_digest),
        "the environment's lock": (before.lock_digest, now.lock_digest),
        "an upstream model": (before.upstream_digest, now.upstream_digest),
    }
    return tuple(f"{what} changed" for what, (old, new) in pairs.items() if old != new)


def _made_from(provenance: Provenance) -> tuple[str, ...]:
    return (
        provenance.notebook_digest,
        provenance.data_digest,
        provenance.lock_digest,
        provenance.code_digest,
        provenance.upstream_digest,
    )


def _exact(parameters: Mapping[str, Parameter]) -> dict[str, tuple[type, Parameter]]:
    # To Python 1, 1.0 and True are equal; to a notebook they are not.
    return {name: (type(value), value) for name, value in parameters.items()}
