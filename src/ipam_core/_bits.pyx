"""Bit primitives, with a Python face so that tests can reach each of them."""


def py_first_set(uint64_t word):
    """Return the position of the lowest set bit, -1 for 0."""
    return first_set(word) if word else -1


def py_popcount(uint64_t word):
    """Return how many bits are set."""
    return popcount(word)


def py_bit(int position):
    """Return the word with one bit set. Raises `ValueError` outside 0 to 63."""
    if not 0 <= position < 64:
        raise ValueError(f"position {position}: from 0 to 63")
    return bit(position)
