"""A kernel provisioner for jupyter_client that takes kernels from a nursery, or makes ordinary ones.

Turnout's own runner uses it by itself. For other programs it is registered as `turnout-warm`; a kernel spec asks for it
with

    "metadata": {"kernel_provisioner": {"provisioner_name": "turnout-warm", "config": {
        "runtime": "/run/user/1000/churn", "project": "/home/ann/churn", "notebook": "train.ipynb"}}}

`runtime` is a folder of mode 0700 for the sockets, `project` the folder of which nothing is imported beforehand, and
`notebook` (absolute, or in the kernel's folder) says what is.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner
from traitlets import Unicode

from pipelines.adapters.warm.client import Cold, Request, WarmKernels


class WarmProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Starts kernels by forking."""

    runtime = Unicode("", help="The folder for the nurseries' sockets.").tag(config=True)
    project = Unicode("", help="The project's folder.").tag(config=True)
    notebook = Unicode("", help="The notebook that the kernel is for.").tag(config=True)

    warm: WarmKernels | None = None
    hold: Callable[[socket.socket], None] = staticmethod(lambda _: None)
    why_cold: str = ""
    """Why the last kernel is an ordinary one; empty when it is not."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel; start an ordinary one where that is impossible."""
        warm = self.warm or self._own()
        streams = [_descriptor(kwargs.get(name), usual) for name, usual in (("stdout", 1), ("stderr", 2))]
        if warm is None or None in streams or "env" not in kwargs or cmd[1:4] != ["-m", "ipykernel_launcher", "-f"]:
            self.why_cold = "it is not asked for, or the kernel is none of ipykernel's"
            return await super().launch_kernel(cmd, **kwargs)
        folder = str(kwargs.get("cwd") or Path.cwd())
        request = Request(
            environment=kwargs["env"],
            folder=folder,
            arguments=tuple(cmd[3:]),
            streams=(streams[0] or 1, streams[1] or 2),
            notebook=Path(folder, self.notebook) if self.notebook else None,
        )
        try:
            self.process = warm.kernel(request, self.hold)
        except Cold as error:
            self.why_cold = str(error)
            warm.note(self.notebook, self.why_cold)
            return await super().launch_kernel(cmd, **kwargs)
        self.why_cold = ""
        self.pid = self.pgid = self.process.pid
        self.cwd = folder
        return self.connection_info

    def _own(self) -> WarmKernels | None:
        if not self.runtime or not self.project:
            return None
        return WarmKernels(Path(self.runtime), Path(self.project), Path(self.runtime) / "nursery.log")


def _descriptor(stream: Any, usual: int) -> int | None:
    """The descriptor of a stream as `subprocess.Popen` takes it; None for one that cannot be handed on."""
    if stream is None:
        return usual
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None
