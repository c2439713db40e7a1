"""The web process against a real fleet: real Mosquitto, simulated stimulators, real agents, real browsers' requests."""
