"""The world around the fleet's core: journal, intake, downlink, echo, control socket. They do not know each other."""
