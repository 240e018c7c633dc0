"""Tells people what happens, by webhook, e-mail or chat."""
