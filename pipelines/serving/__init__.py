"""What runs inside a bento: codec, model, hot path, metrics and host.

Of ours it imports `pipelines.errors` and `pipelines.values` only, and a bento carries its own copy of these three, so
that an upgrade of Turnout changes no packaged version.
"""
