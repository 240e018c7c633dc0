"""Whether a version need not be trained again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipelines.values import ModelVersion, Parameter, Provenance


def reusable(
    versions: Iterable[ModelVersion],
    provenance: Provenance,
    parameters: Mapping[str, Parameter],
    service_code: Mapping[str, str] | None = None,
) -> ModelVersion | None:
    """The newest version made from the same code cells, data, environment and parameters; None when there is none.

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


def _made_from(provenance: Provenance) -> tuple[str, str, str]:
    return provenance.notebook_digest, provenance.data_digest, provenance.lock_digest


def _exact(parameters: Mapping[str, Parameter]) -> dict[str, tuple[type, Parameter]]:
    # To Python 1, 1.0 and True are equal; to a notebook they are not.
    return {name: (type(value), value) for name, value in parameters.items()}
