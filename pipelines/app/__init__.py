"""What the commands call: each verb runs its stage and returns a view."""

from pipelines.app.automating import Automating
from pipelines.app.looking import Looking
from pipelines.app.making import Making
from pipelines.app.projects import Projects
from pipelines.app.running import Running
from pipelines.app.watching import Watching


class App(Making, Running, Looking, Projects, Automating, Watching):
    """One project and all that can be done with it; `AppBase` says what it is made of."""


__all__ = ["App"]
