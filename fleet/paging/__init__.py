"""The pager, a process beside the fleet: it reads along and tells people of alarms, until somebody has one."""
