"""What one process serves: a bento's manifest at once, its model when it has been loaded."""

from __future__ import annotations

import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from pipelines.serving.arms import Arms
from pipelines.serving.capture import Capture
from pipelines.serving.ids import RequestIds
from pipelines.serving.metrics import Metrics
from pipelines.serving.predictor import Predictor
from pipelines.values.manifest import Manifest

_THREADS = "inference"


class Replica:
    """The state that the hot path, the probes and the BentoML service of a process share.

    `pool` has the threads for what would hold up the event loop; a single one where the model is not safe in several.

    Args:
        folder: The bento's source folder.

    Raises:
        PackageFailed: there is no readable manifest in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest.read(folder)
        self.instance = ""
        self.metrics = Metrics()
        self.arms = Arms(str(self.manifest.ref))
        self.ids = RequestIds()
        self.predictor: Predictor | None = None
        self.capture: Capture | None = None
        self.pool = ThreadPoolExecutor(1)
        self._loading = threading.Lock()

    @staticmethod
    def of(folder: Path) -> Replica:
        """The one replica of that folder in this process."""
        return _replica_of(folder.resolve())

    def load(self) -> Predictor:
        """Load and warm the model, once.

        Raises:
            ServeFailed: it cannot be loaded, or does not answer its warm-up rows.
        """
        with self._loading:
            if self.predictor is None:
                # What is not finite is refused with its place; NumPy's warning would only repeat it.
                warnings.filterwarnings("ignore", "(overflow|invalid value) encountered in", RuntimeWarning)
                predictor = Predictor.load(self.folder, self.manifest)
                threads = min(4, os.cpu_count() or 1) if predictor.takes_threads else 1
                self.pool = ThreadPoolExecutor(threads, thread_name_prefix=_THREADS)
                self.predictor = predictor
                self.metrics.ready_at = time.time()
            return self.predictor

    def close(self) -> bool:
        """Take no more work; whether all threads have ended then, as they do unless one computes."""
        if self.capture is not None:
            self.capture.close()
        self.pool.shutdown(wait=False, cancel_futures=True)
        threads = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
        for thread in threads:
            thread.join(0.2)
        return not any(thread.is_alive() for thread in threads)


@cache
def _replica_of(folder: Path) -> Replica:
    return Replica(folder)
