"""A part of the DataStore in C: its state as bytes. Nothing in it is for Python."""
