"""A part of the DataStore in C: what ENIs have. Nothing in it is for Python."""
