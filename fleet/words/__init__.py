"""Plain words for people, as tables without a decision: events and refusals, alarms, what is due, messages."""
