"""The wire contract, its bytes, its keys and the broker that carries it."""
