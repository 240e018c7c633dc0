"""One file a verb: each narrates what happens, asks `policy` what to decide and `ports` to do it."""
