"""The kernel that papermill's engine runs a notebook in, and the connection to it."""

from __future__ import annotations

import queue
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.client import KernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

from pipelines.adapters.warm.client import WarmKernels
from pipelines.adapters.warm.provisioner import WarmProvisioner

if TYPE_CHECKING:
    from pipelines.adapters.papermill_engine import Execution

START_SECONDS = 120.0


class _Connection(AsyncKernelClient):  # type: ignore[misc]
    """Knows a kernel to be ready when it has answered, and its outputs arrive.

    jupyter_client waits then until nothing comes for 0.2 s. nbclient needs no silence: it knows its own messages.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        deadline = time.monotonic() + (timeout if timeout is not None else START_SECONDS)
        while True:
            self.kernel_info()
            with suppress(queue.Empty):
                answer = await self.get_shell_msg(timeout=1)
                if answer["msg_type"] == "kernel_info_reply":
                    await self.get_iopub_msg(timeout=0.2)
                    self._handle_kernel_info_reply(answer)
                    return
            if not await self.is_alive():
                raise RuntimeError("the kernel ended before it answered")
            if time.monotonic() > deadline:
                raise RuntimeError("the kernel does not answer")

    _async_wait_for_ready = wait_for_ready


class OwnKernel(AsyncKernelManager):  # type: ignore[misc]
    """A kernel of this very Python, reached through sockets in a private folder.

    An installed kernel spec named python3 may belong to another environment; ports on 127.0.0.1 are free for the
    taking between their choice and their use, and open to every user of the machine.
    """

    client_factory = Type(klass=KernelClient, default_value=_Connection)
    execution: Execution

    def provide(self, execution: Execution, warm: WarmKernels | None) -> None:
        """Take the kernel from a nursery, where there is one."""
        self.execution = execution
        if warm is not None:
            self.provisioner = WarmProvisioner(kernel_id="", kernel_spec=self.kernel_spec, parent=self)
            self.provisioner.warm = warm
            self.provisioner.notebook = str(execution.source or "")
            self.provisioner.hold = self.hold

    def hold(self, leash: socket.socket) -> None:
        """Note the connection on which a kernel is asked for, so that Ctrl-C ends the wait."""
        self.execution.leash = leash
        if self.execution.is_killed:
            leash.close()

    @property
    def is_warm(self) -> bool:
        """Whether the kernel is a fork."""
        return isinstance(self.provisioner, WarmProvisioner) and not self.provisioner.why_cold

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel is started."""
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Turnout",
            language="python",
        )

    async def post_start_kernel(self, **kwargs: Any) -> None:
        """Note the process, so that it can be ended whatever happens."""
        await super()._async_post_start_kernel(**kwargs)
        self.execution.process = self.provisioner.pid

    _async_post_start_kernel = post_start_kernel
