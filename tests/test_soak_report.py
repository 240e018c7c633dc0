"""What `make soak` writes into docs/reliability.md."""

from __future__ import annotations

from tests.soak.reliability import MARK, renewed

PAGE = f"Head.\n\n{MARK}\n\n## Switches: held\n\nold switches\n\n## The way back: NOT HELD\n\nold way\n"


def test_a_part_that_was_measured_again_takes_its_place() -> None:
    """Its verdict may have changed; the other parts stay, in their order."""
    page = renewed(PAGE, ["## Switches: NOT HELD\n\nnew switches\n"])
    assert page == f"Head.\n\n{MARK}\n\n## Switches: NOT HELD\n\nnew switches\n\n## The way back: NOT HELD\n\nold way\n"


def test_a_new_part_comes_last() -> None:
    """A part that was never measured before is added, and nothing is lost."""
    assert renewed(PAGE, ["## Disk: held\n\nfull\n"]).endswith("old way\n\n## Disk: held\n\nfull\n")
