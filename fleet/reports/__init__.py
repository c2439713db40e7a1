"""What people ask of weeks: usage, health, the record of a session, and what they are counted from."""
