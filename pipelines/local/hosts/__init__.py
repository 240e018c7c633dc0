"""Hosts: the processes that serve versions, started, watched and replaced."""
