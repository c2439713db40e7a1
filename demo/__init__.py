"""A clinic on this machine: every part as a real process, stimulators simulated. The demo, and what the tests run on."""
