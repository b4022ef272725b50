"""A part of the DataStore in C: who holds what. Nothing in it is for Python."""
