"""What Prometheus can read of a project: of its daemon, its hosts and its gateway."""
