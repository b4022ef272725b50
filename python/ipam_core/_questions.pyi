"""A part of the DataStore in C: what the pool's rules ask. Nothing in it is for Python."""
