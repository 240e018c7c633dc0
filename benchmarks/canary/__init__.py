"""Simulated rollouts, many at once: how often a judge is wrong, and how long it takes to be right."""
