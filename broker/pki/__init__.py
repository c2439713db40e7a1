"""Who is who at a site: its CA, its keys, certificates, and the registry of devices and operators, on disk."""
