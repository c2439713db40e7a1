"""Imported by the process from which others are forked (tests/forked.py), and by nobody else: all that they load."""

import gc

import agents.agent
import agents.simulation.bench
import demo.child
import demo.simulate
import fleet.api.application
import fleet.commands.recorder
import fleet.recording.metrics
import fleet.recording.recorder
import fleet.web
import stimfleet
from broker.mosquitto import running
from fleet import service, supervisor
from fleet.adapters.history import embedded, embedded_reading, influx
from fleet.adapters.notify import apprise_url
from fleet.paging import pager

__all__ = ["agents", "demo", "embedded", "embedded_reading", "fleet", "influx", "pager", "running", "supervisor"]

stimfleet.parser()
service.warm_up()
apprise_url.warm_up()
gc.freeze()
