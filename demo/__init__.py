"""A clinic on this machine: every part a real process, stimulators simulated. Tests run on it too."""
