"""What a clinic installs: containers, units, the operations page; each checked as far as goes without its engine."""
