"""What every device's samples were, for months: one port, and the stores behind it."""
