"""Bit primitives, with a Python face so that tests can reach each of them."""


def py_first_set(uint64_t word):
    """Return the position of the lowest set bit, -1 for 0."""
    return first_set(word) if word else -1
