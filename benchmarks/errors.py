"""What stops the measurement of one contender, and of no other."""

from __future__ import annotations


class NotMeasured(Exception):
    """A contender cannot be measured here; the message says why, without a full stop."""
