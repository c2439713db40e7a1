"""What works on this repository and is not shipped: set-up, the lock, and a contract for imports."""
