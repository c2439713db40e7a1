"""The HTTP API and the live page's server: a process beside the fleet, which reads along and may ask."""
