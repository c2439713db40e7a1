"""Writes the dashboards that are committed for Grafana: `python -m tools.grafana`. Typed by Grafana's own SDK."""
