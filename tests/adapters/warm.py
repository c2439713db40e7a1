"""Imported by the process from which fleets are forked, and by nobody else: what the service loads and builds."""

from fleet import service, supervisor

__all__ = ["service", "supervisor"]

service.warm_up()
