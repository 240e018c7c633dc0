"""Commands on a Ray cluster, for those who outgrow the machine: each core of it takes one at a time.

Every node has Turnout installed in the same version, and sees the project's folder at the same path. On a node a hand,
an actor of Ray's, has a worker process of its own, as on this machine.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipelines.adapters.crew.hand import Hand
from pipelines.crews import Room
from pipelines.errors import Interrupted, MissingExtra, Refused, TurnoutError
from pipelines.ports import CellProgress
from pipelines.values.work import Carried, Task

_STOP_SECONDS = 40.0
_KNOCK_SECONDS = 5.0
_PLACE_SECONDS = 600.0
"""So long a command waits for a core that others of the cluster have."""


class RayCrew:
    """Implements `crews.Crew`.

    Args:
        root: The project's folder.
        address: Of the cluster, as Ray writes it; by default the one that `RAY_ADDRESS` names, or that this machine is
            part of.

    Raises:
        MissingExtra: Ray is not installed.
        Refused: there is no such cluster.
    """

    def __init__(self, root: Path, address: str = "") -> None:
        self._root = root
        self._ray, self._is_guest = _joined(address or os.environ.get("RAY_ADDRESS", "") or "auto")
        # Two calls at once: the command, and the word that it shall stop.
        self._hand = self._ray.remote(num_cpus=1, max_concurrency=2, max_restarts=0)(Hand)
        self._guard = threading.Lock()
        self._idle: list[Any] = []
        self._busy: dict[Any, str] = {}
        self._is_stopped = False

    @property
    def most(self) -> int:
        """The cluster's cores."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def room(self) -> Room:
        """The cluster's memory. What a command takes there is not measured: its cores are what bounds it."""
        return Room(self._ray.cluster_resources().get("memory", 0.0) / 1e6)

    def carry_out(self, task: Task, hear: Callable[[str | CellProgress], None]) -> Carried:
        """Carry out one command; see `crews.Crew.carry_out`."""
        begun = time.monotonic()
        with self._taken(task) as hand:
            try:
                for one in hand.carry_out.options(num_returns="streaming").remote(task.key, task.words):
                    kind, said = self._ray.get(one)
                    if kind == "step":
                        hear(said)
                    elif kind == "cell":
                        hear(CellProgress(**said))
                    elif kind == "error":
                        raise TurnoutError.from_dict(said)
                    else:
                        return Carried(said["document"], said["ok"], time.monotonic() - begun, said["memory_mb"])
            except self._ray.exceptions.RayError as error:
                with self._guard:
                    self._busy[hand] = "gone"
                    if self._is_stopped:
                        raise Interrupted("it was stopped") from None
                raise TurnoutError(
                    f"the cluster lost `turnout {' '.join(task.words)}`: {str(error).strip().splitlines()[0]}",
                    instead="a node that goes takes along what runs on it",
                    then="Run it again; `ray status` shows the nodes.",
                ) from None
        raise TurnoutError(f"`turnout {' '.join(task.words)}` ended on the cluster and told nothing")

    def where(self) -> list[str]:
        """The nodes of the hands that are idle, by their ids."""
        with self._guard:
            idle = list(self._idle)
        return list(self._ray.get([hand.where.remote() for hand in idle]))

    def stop(self) -> None:
        """Have all that is under way end, as Ctrl-C does."""
        with self._guard:
            self._is_stopped = True
            busy = list(self._busy)
        for hand in busy:
            hand.stop.remote()

    def close(self) -> None:
        """End what is left, and leave the cluster, unless this process was part of it before."""
        if not self._ray.is_initialized():
            return
        self.stop()
        with self._guard:
            left = [*self._idle, *self._busy]
            self._idle.clear()
        with suppress(self._ray.exceptions.RayError):
            self._ray.wait([hand.close.remote() for hand in left], num_returns=len(left), timeout=_STOP_SECONDS)
        for hand in left:
            self._ray.kill(hand)
        if not self._is_guest:
            self._ray.shutdown()

    @contextmanager
    def _taken(self, task: Task) -> Iterator[Any]:
        with self._guard:
            if self._is_stopped:
                raise Interrupted("it was stopped before it began")
            hand = self._idle.pop() if self._idle else self._hand.remote(str(self._root))
            self._busy[hand] = task.key
        try:
            self._refuse_elsewhere(hand)
            yield hand
        finally:
            with self._guard:
                if self._busy.pop(hand) != "gone" and not self._is_stopped:
                    self._idle.append(hand)

    def _refuse_elsewhere(self, hand: Any) -> None:
        """A hand on a node that has another project there, or none, would begin one of its own."""
        try:
            place, sees = self._ray.get(hand.sees_project.remote(), timeout=_PLACE_SECONDS)
        except self._ray.exceptions.GetTimeoutError:
            raise Refused(
                f"no core of the cluster came free within {_PLACE_SECONDS:.0f} s",
                then="`ray status` shows who has them.",
            ) from None
        except self._ray.exceptions.RayError as error:
            raise Refused(
                f"the cluster cannot start a worker: {str(error).strip().splitlines()[-1]}",
                instead="each node has Turnout installed, in the same version",
            ) from None
        if not sees:
            raise Refused(
                f"the node {place} does not see {self._root}",
                instead="a cluster's nodes share the project's folder, at the same path",
                then="Mount it there, or start Ray on this machine alone: `ray start --head`.",
            )


def _joined(address: str) -> tuple[Any, bool]:
    """Ray, as part of a cluster; and whether this process was that already, such as a notebook's kernel."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ModuleNotFoundError:
        raise MissingExtra.of("ray", "ray", "a sweep on a cluster") from None
    if ray.is_initialized():
        return ray, True
    try:
        _knock(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise Refused(
            f"no Ray cluster can be reached ({str(error).strip().splitlines()[0]})",
            instead="a sweep with `--engine ray` runs on one that is there",
            then="`ray start --head` begins one on this machine; RAY_ADDRESS names another one.",
        ) from None
    return ray, False


def _knock(address: str) -> None:
    """Ray itself would look for minutes for a cluster that is not there.

    Raises:
        OSError: nobody answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
