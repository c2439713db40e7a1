"""The HTTP API against a real fleet: real Mosquitto, simulated stimulators, real agents."""
