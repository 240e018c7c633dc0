"""serve: run one packaged version in the foreground, without a gateway."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import Refused
from pipelines.ports import Ports
from pipelines.values import Project, VersionSpec


def bento_sources(project: Project, spec: VersionSpec, ports: Ports) -> Path:
    """The folder a host serves the version from.

    Raises:
        Refused: the version is not packaged.
        PackageFailed: its bento is gone or was changed.
    """
    project.model(spec.model)
    version = ports.registry.get(spec)
    if version.package is None:
        raise Refused(f"{version.ref} is not packaged", then=f"`turnout package {version.ref}` does that.")
    return ports.packager.sources(version.package)


def serve(project: Project, spec: VersionSpec, port: int, ports: Ports) -> None:
    """Serve until told to stop: `POST /predict` on 127.0.0.1:`port`."""
    ports.hosts.serve(bento_sources(project, spec, ports), port)
