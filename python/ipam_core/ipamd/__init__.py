"""The real agent's own formats. They know the core and the checkpoint's entries, no more.

introspection.py    /v1/enis
messages.py         the texts by which people know its faults
log_lines.py        the lines that this package's own agent writes
log_messages.py     the lines of its logs, of every version, as patterns
failure_messages.py those of EC2 calls that failed
checkpoint_file.py  its JSON files on disk

May import: checkpoint, and below.
"""
