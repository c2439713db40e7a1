"""The core, rule by rule, and a clinic in words to tell stories with."""
