"""The fleet over HTTP: who may do what, who somebody is, and the routes. Runs in the web process, beside the fleet."""
