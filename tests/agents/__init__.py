"""The agent: interlock, session, latch and control loop."""
