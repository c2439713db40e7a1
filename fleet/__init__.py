"""The fleet service: who may stimulate, for how long and how strongly, and stops until zero is measured."""
