"""The record of a session, or the session itself, read from the journal on disk."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fleet.adapters.journal.about import device_of, rows_about
from fleet.core import events as e
from fleet.core.evolve import FOLDS
from fleet.core.state import Durable, Session
from fleet.reports import session_ledger
from fleet.reports.record import NoSuchSession, SessionRecord, session_record
from fleet.reports.session_ledger import ListedSession
from fleet.stored import FORMS

_OF_SESSIONS = session_ledger.COUNTED | {e.BaselineMeasured}


def read_record(journal: Path, session_id: str) -> SessionRecord:
    """Everything that the journal has of a session. Some tenths of a second: not for an event loop.

    Raises:
        NoSuchSession, FileNotFoundError
        JournalCorrupt, UnknownStored, JournalUnwritable: the journal cannot be read.
    """
    device = device_of(journal, session_id)
    if device is None:
        raise NoSuchSession(session_id)
    rows = rows_about(journal, session_id, device, FORMS)
    return session_record(session_id, rows, lambda event: FORMS.dump(event)[2].decode())


@lru_cache(maxsize=64)  # whoever looks at one asks every two seconds; its row changes with what it shows
def read_session(journal: Path, listed: ListedSession) -> Session:
    """A session that the state has forgotten, as the fold of what the journal has of it. As slow as its record.

    Raises:
        NoSuchSession, FileNotFoundError
        JournalCorrupt, UnknownStored, JournalUnwritable: the journal cannot be read.
    """
    durable = Durable()
    for row in rows_about(journal, listed.session_id, listed.device, FORMS):
        if type(row.event) in _OF_SESSIONS and _session_id(row.event) == listed.session_id:
            FOLDS[type(row.event)](durable, row.event)
    if listed.session_id not in durable.sessions:
        raise NoSuchSession(listed.session_id)
    return durable.sessions[listed.session_id]


def _session_id(event: Any) -> str:
    said: str = event.authorisation.session_id if isinstance(event, e.SessionAuthorised) else event.session_id
    return said
