"""The agent against the world: disk, panel, broker, processes that are killed."""
