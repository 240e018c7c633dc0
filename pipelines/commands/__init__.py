"""The commands: each parses, calls one verb of the app and returns its view; terminal and notebook run the same."""

from pipelines.commands import automating, looking, making, projects, running, watching
from pipelines.commands.group import Ref, Session, Verb, Verbs, main_group

# One a line, so that two changes seldom meet.
ORDER = (
    "init",
    "train",
    "validate",
    "package",
    "serve",
    "deploy",
    "promote",
    "rollback",
    "undo",
    "ship",
    "sweep",
    "watch",
    "test",
    "status",
    "monitor",
    "compare",
    "drift",
    "labels",
    "logs",
    "history",
    "alerts",
    "monitoring",
    "up",
    "down",
    "versions",
    "diff",
    "prune",
    "cache",
    "doctor",
    "attempt",
    "daemon",
    "champion",
)
"""As they are used, and listed; a command that is not named here is a mistake."""

main_group.arrange(ORDER)

__all__ = [
    "Ref",
    "Session",
    "Verb",
    "Verbs",
    "automating",
    "looking",
    "main_group",
    "making",
    "projects",
    "running",
    "watching",
]
