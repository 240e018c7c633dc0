"""A Prometheus and an Alertmanager of the project's own, and what Grafana needs to show what they have."""
