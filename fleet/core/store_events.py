"""Durable events of the history store, as its recorder tells of it, and what the state keeps of that.

The history decides nothing and proves nothing: nobody is treated otherwise for what is here. It is known for one alarm
(A13), so that somebody hears of it in a house where no Prometheus runs.
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.contract.shapes import Strict
from fleet.core.happened import Happened


class StoreTrouble(StrEnum):
    """What is wrong with the store, gravest first. A closed list: a store's own words may hold anything."""

    REFUSES = "store_refuses"  # nothing is taken any more, to no disk: what comes is lost within minutes
    DROPS = "samples_dropped"  # it is not taken, or cannot be read, and is gone
    WAITS = "store_waits"  # nothing is lost: it waits on the recorder's disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder(Strict):
    """A recorder that has spoken, and has not ended in order. `since_s`: since when it is well, or in trouble, whatever
    the trouble; `this_since_s`: since when it is this one.
    """

    trouble: StoreTrouble | None
    since_s: float
    this_since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFailed(Happened):
    """What the recorder hands to its store is not kept, or not yet; or for another reason than before."""

    trouble: StoreTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTook(Happened):
    """The store takes what it is given: by a recorder's first word, or after a trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderEnded(Happened):
    """The recorder was asked to end: none runs now, and none is missed."""
