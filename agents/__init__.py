"""One process beside each stimulator: permission, session, driver, durable events and the link to the fleet."""
