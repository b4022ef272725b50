"""Durable assignments: no acknowledged change is lost.

entry.py        what is kept of one address, and its checksum
schema.py       the tables, migrations, checks for damage
salvage.py      what can still be read of a damaged file
wal.py          damage in SQLite's log
files.py        private files, and a lock: one process a checkpoint
database.py     the file: opening, writing, replacing it when it was deleted
rows.py         the rows of one commit, and their values before it
work.py         the work of a caller, and how much of it is done
group_commit.py one thread at a time writes the changes of all, many in one sync
checkpoint.py   `Checkpoint`: what is recorded and read
layout.py       a store's ENIs and prefixes as text
restore.py      `restore`: what a restart takes over
durable.py      `DurableStore`: assign and release that return when durable
durable_node.py `DurableNode`: the same for a node, on all its network cards

May import: node, and below.
"""

from ipam_core.checkpoint.checkpoint import Checkpoint
from ipam_core.checkpoint.database import Durability
from ipam_core.checkpoint.durable import DurableStore
from ipam_core.checkpoint.durable_node import DurableNode
from ipam_core.checkpoint.entry import Entry
from ipam_core.checkpoint.restore import Restored, restore

__all__ = [
    "Checkpoint",
    "Durability",
    "DurableNode",
    "DurableStore",
    "Entry",
    "Restored",
    "restore",
]
