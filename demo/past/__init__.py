"""Weeks of a clinic in seconds: a simulated past, marked as such, that a fleet goes on from."""
