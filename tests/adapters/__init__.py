"""The fleet's shell against the real thing: disks, processes, sockets, Mosquitto."""
