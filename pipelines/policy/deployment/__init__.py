"""What a deployment becomes when somebody deploys, promotes, rolls back, undoes or stops.

Each function takes the deployment as it is and returns it as it shall be, or raises Refused; what is so already comes
back unchanged, the very same object. What has to be started, routed and stopped follows from the two: see `plan`.
"""

from __future__ import annotations

from pipelines.policy.deployment.back import after_down, after_rollback, after_undo, after_up
from pipelines.policy.deployment.forward import MAX_REPLICAS, after_bake, after_deploy, after_promote, check_bento
from pipelines.policy.deployment.plans import Plan, describe, plan, revival
from pipelines.policy.deployment.salvage import makeshift, salvaged

__all__ = [
    "MAX_REPLICAS",
    "Plan",
    "after_bake",
    "after_deploy",
    "after_down",
    "after_promote",
    "after_rollback",
    "after_undo",
    "after_up",
    "check_bento",
    "describe",
    "makeshift",
    "plan",
    "revival",
    "salvaged",
]
