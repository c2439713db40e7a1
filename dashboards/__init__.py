"""Files that people look at, without logic: served by the fleet service or provisioned into other tools."""
