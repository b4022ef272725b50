"""A part of the DataStore in C: placements of a caller's own. Nothing in it is for Python."""
