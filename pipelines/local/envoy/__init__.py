"""The gateway: Envoy, steered by files that it watches."""
