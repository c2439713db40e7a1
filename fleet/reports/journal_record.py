"""The record of a session, read from the journal on disk."""

from pathlib import Path

from fleet.adapters.journal.about import device_of, rows_about
from fleet.reports.record import NoSuchSession, SessionRecord, session_record
from fleet.stored import FORMS


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
