"""Where a rule of test_tidy.py has exceptions, each with its reason; one that nothing needs fails there."""

from typing import Final

LONG_MODULES: Final = {
    "broker/contract/messages.py": "every message of the wire, uplink then downlink, read as one document",
}
"""Modules over LINES lines: path to the reason why they are one idea all the same."""

COMPOSITION_ROOTS: Final = {
    "agents/commandline.py": "the processes of the agent and of the simulated stimulators begin here",
    "agents/drivers/bench.py": "how long a stimulator may take to answer: one deadline over all that it sends",
    "broker/commandline.py": "certificates begin at the time of the command that issues them",
    "fleet/service.py": "the composition root of the fleet service",
    "fleet/paging/pager.py": "the composition root of the pager",
    "fleet/web.py": "the composition root of the web server",
    "fleet/commands/accounts.py": "when a user or a token was changed at the command line",
    "fleet/commandline.py": "the moment of a screening",
    "fleet/commands/journal.py": "what is set aside is named for the moment",
    "fleet/recording/recorder.py": "the composition root of the recorder",
    "fleet/commands/stop.py": "how long a person waits for measured zero",
    "fleet/commands/rota.py": "who is on call when somebody asks",
    "fleet/commands/terminal.py": "how long a person waits for an answer",
    "demo/clinic.py": "a scripted person's clock",
    "demo/processes.py": "how long to wait for what other processes do",
    "demo/simulate.py": "one process of many agents and of people: their clocks",
    "demo/story.py": "when the story is told",
    "broker/mosquitto/local.py": "how long to wait for a broker that it starts, nothing that the fleet decides",
}
"""Shipped modules that may read a clock: path to the reason. Everything else is given its clocks."""
