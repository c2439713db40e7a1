"""The local control socket: one JSON object a line each way, for `stimfleet session`, `stimfleet stop` and `release`.

Open to nobody but the account that runs the fleet (0600): whoever may connect may push stops and ask for sessions.
"""
