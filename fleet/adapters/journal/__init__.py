"""The append-only, hash-chained record from which the fleet's state is rebuilt.

JournalError
├── JournalUnwritable    the disk refuses: kept in memory and tried again, nothing is confirmed meanwhile
├── JournalReplaced      another journal under the name of the one that was read along
├── JournalCorrupt       a row that is not what was written, or is missing
├── UnknownStored        a name or version that this program does not know
├── CopyRefused          a backup or a restore that cannot be made as asked; nothing was changed
└── Unstorable           an event that would not read back as itself: a bug of its maker
"""
