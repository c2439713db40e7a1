"""The fleet's decisions: pure, deterministic, standard library and `broker.contract` only.

Start at `decide.decide`; `inputs`, `events`, `effects` and `state` are the interface.
"""
