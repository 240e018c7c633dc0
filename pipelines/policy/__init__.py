"""Decisions, and nothing else: no clock, no input or output, no logging. The same facts give the same answer."""
