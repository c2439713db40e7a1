"""The reference broker: its configuration and ACL, written from CHANNELS and the registry, and a local runner."""
