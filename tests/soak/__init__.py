"""What takes many minutes: run by hand, `make soak`, and written down in docs/reliability.md."""
