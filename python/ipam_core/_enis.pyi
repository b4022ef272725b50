"""A part of the DataStore in C: its ENIs. Nothing in it is for Python."""
