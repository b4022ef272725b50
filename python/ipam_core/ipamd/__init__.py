"""The real agent's own formats. They know the core and the checkpoint's entries, no more.

introspection.py    /v1/enis
messages.py         the texts of its log and its answers
checkpoint_file.py  its JSON files on disk
"""
