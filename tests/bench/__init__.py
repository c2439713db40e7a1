"""What the fleet service costs and how fast it is, measured against the real thing: `python -m tests.bench`."""
