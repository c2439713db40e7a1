"""Plain words: every event, refusal, alarm and message has some, and they say what to do."""
