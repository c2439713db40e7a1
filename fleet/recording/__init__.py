"""The recorder, a process beside the fleet: it keeps every sample that the fleet hands on."""
