"""Bit primitives, with a Python interface for tests of each of them."""

cimport cython


def py_first_set(uint64_t word):
    """Return the position of the lowest set bit, -1 for 0."""
    return first_set(word) if word else -1


def py_last_set(uint64_t word):
    """Return the position of the highest set bit, -1 for 0."""
    return last_set(word) if word else -1


def py_popcount(uint64_t word):
    """Return how many bits are set."""
    return popcount(word)


def py_bit(int position):
    """Return the word with one bit set. Raises `ValueError` outside 0 to 63."""
    if not 0 <= position < 64:
        raise ValueError(f"position {position}: from 0 to 63")
    return bit(position)


def py_put(uint64_t word, int position, bint is_set):
    """Return `word` with one bit set or cleared."""
    if not 0 <= position < 64:
        raise ValueError(f"position {position}: from 0 to 63")
    return put(word, position, is_set)


def py_nth_set(uint64_t word, int n):
    """Return the position of the n-th set bit, -1 if there are fewer."""
    return nth_set(word, n) if 0 <= n < popcount(word) else -1


@cython.final
cdef class PyBitSet:
    """A set of numbers from 0 to 4,095."""

    cdef BitSet numbers

    def put(self, int number, bint is_in):
        """Add a number to the set, or remove it."""
        if not 0 <= number < 4096:
            raise ValueError(f"number {number}: from 0 to 4095")
        bitset_put(&self.numbers, number, is_in)

    def lowest(self):
        """Return the lowest number, -1 if there is none."""
        return bitset_lowest(&self.numbers) if self.numbers.top else -1
