"""Who is told: addresses that may hold secrets, and are therefore never shown or stored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import BadInput
from pipelines.values.alerts import Alert

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True, slots=True)
class AlertTarget:
    """One of the addresses of the project file.

    Args:
        key: Tells it from the others without saying it.
        label: Its place and kind, such as `2 (mailto)`.
        address: As the file has it.
    """

    key: str
    label: str
    address: str

    def url(self, environment: Mapping[str, str]) -> str:
        """The address with the variables filled in.

        Raises:
            BadInput: one is not set.
        """

        def filled(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if not environment.get(name):
                raise BadInput(
                    f"the environment variable {name} is not set where the daemon was started",
                    then="Set it, then `turnout down` and `turnout up`.",
                )
            return environment[name]

        return _VARIABLE.sub(filled, self.address)


def targets_of(urls: Sequence[str]) -> list[AlertTarget]:
    """The addresses in their order."""
    return [
        AlertTarget(hashlib.sha256(url.encode()).hexdigest()[:16], f"{number} ({_kind(url)})", url)
        for number, url in enumerate(urls, start=1)
    ]


def _kind(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    return scheme if mark else url if _VARIABLE.fullmatch(url) else "?"


def letter(alert: Alert, url: str) -> dict[str, object]:
    """What the sender is given."""
    said = alert.as_dict()
    # A webhook's JSON has a `version` already, that of its form.
    said["ref"] = said.pop("version")
    fields = {name: value for name, value in said.items() if value and name not in ("title", "text")}
    body = f"{alert.text}\n\n{alert.at:%Y-%m-%d %H:%M:%S} UTC, id {alert.id}"
    return {"url": url, "title": f"Turnout: {alert.title}", "body": body, "fields": fields}
