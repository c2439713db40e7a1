"""Whoever tells people, with real receivers: HTTP, SMTP, Debian's Alertmanager; and with a clinic of real processes."""
