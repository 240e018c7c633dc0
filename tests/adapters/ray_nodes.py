"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def two_nodes() -> Iterator[str]:
    """Two nodes with one core each; yields the address. They are gone afterwards."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=small)
        try:
            cluster.add_node(**{name: small[name] for name in ("num_cpus", "object_store_memory")})
            cluster.wait_for_nodes()
            yield str(cluster.address)
        finally:
            cluster.shutdown()
