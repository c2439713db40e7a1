"""What may go wrong with the journal; the tree is drawn in the package's docstring."""


class JournalError(Exception):
    """The journal cannot do what was asked."""


class JournalUnwritable(JournalError):
    """The disk refuses. What was appended is kept, in order, and tried again."""


class JournalContested(JournalUnwritable):
    """Somebody else writes this journal. What was appended is not in it and never will be: nothing is tried again."""

    def __init__(self, position: int) -> None:
        super().__init__(
            f"journal row {position} is there and is not ours: somebody else writes this journal. Find out who, and "
            "end one of the two"
        )


class JournalReplaced(JournalError):
    """There is another journal under the name of the one that was read along: begin anew."""


class JournalCorrupt(JournalError):
    """A row is not what was written, or one is missing. `position` is that of the first bad row."""

    def __init__(self, position: int, text: str) -> None:
        super().__init__(f"journal row {position}: {text}")
        self.position = position
        self.text = text


class UnknownStored(JournalError):
    """A name or version that this program does not know: it is older than what wrote the journal."""

    def __init__(self, position: int, text: str) -> None:
        super().__init__(f"journal row {position}: {text}")
        self.position = position
        self.text = text


class Unstorable(JournalError):
    """An event that would not read back as itself: a bug of its maker, so it is not written."""


class CopyRefused(JournalError):
    """A backup or a restore that cannot be made as it was asked for. Nothing was changed; the text says what to do."""
