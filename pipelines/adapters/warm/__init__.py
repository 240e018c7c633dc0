"""Warm kernels: Jupyter kernels forked from a process that has imported already what notebooks import.

`nursery` is that process, `client` asks it for a kernel, `identity` says which nursery a kernel may come from, and
`provisioner` is the door that jupyter_client knows. Nothing of a run reaches another: the nursery imports installed
packages and runs nothing, and each kernel is a fork that nobody forks again.

Linux only. Whatever goes wrong on the way, the kernel is an ordinary one.
"""
