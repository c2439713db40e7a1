"""The wire contract: types and arithmetic that agents and fleet agree on. Pure: standard library only."""
