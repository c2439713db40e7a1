"""Every sample that the fleet takes in, handed on to whoever reads along on this host."""
