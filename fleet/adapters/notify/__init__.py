"""Channels to people: one message handed to the other side, which takes it or does not."""
