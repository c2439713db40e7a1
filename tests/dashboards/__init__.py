"""Rules, alerts, dashboards and the composition of containers, each by the engine that will read it."""
