"""Imported by the process from which others are forked (tests/forked.py), and by nobody else."""

import gc

import agents.agent
import demo.child
import demo.simulate
import fleet.web
from fleet import service, supervisor
from fleet.paging import pager
from fleet.recording import recorder

__all__ = ["agents", "demo", "fleet", "pager", "recorder", "service", "supervisor"]

service.warm_up()
gc.freeze()
