"""A part of the DataStore in C: pods by their digests. Nothing in it is for Python."""
