"""The one-machine target: daemon, guardian, gateway (Envoy), hosts, journal."""
