"""Proofs: the clinic's stories, the wire contract, faults, and the style of the code itself."""
