"""What agents and fleet agree on: the contract, its bytes, its keys and the broker that carries it."""
