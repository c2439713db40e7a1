"""The demo and the simulated clinic day: what is pure by hand-made figures, what is not by running it."""
