"""The whole clinic as real processes, killed with real signals; the judge is what the stimulator really put out."""
