"""The simulated stimulator: physics, faults, and its life as a process of its own."""
