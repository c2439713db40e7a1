"""The whole behaviour of the fleet has one address: `decide`.

The rules of this file:
- `decide(state, input)` decides, and folds what it decided into `state` as it goes (with `evolve`): the shell calls
  `evolve` only to rebuild from the journal. `state.durable` is always the fold of every event ever returned.
- Nothing that was not returned has happened. Events are in order; so are effects, within their two groups.
- The shell performs `at_once` immediately, appends `events` to the journal, and performs `after_commit` once they
  (and all before them) are committed. If the journal cannot be written, `at_once` still goes out.
- Same state, same inputs: same decisions, to the byte. No clock, no randomness, no I/O.
"""

from fleet.core.evolve import evolve
from fleet.core.inputs import Input
from fleet.core.state import State
from fleet.core.turn import Decision

__all__ = ["Decision", "decide", "evolve"]


def decide(state: State, heard: Input) -> Decision:
    """Decide on one input, and fold the decision into `state`."""
    raise NotImplementedError
