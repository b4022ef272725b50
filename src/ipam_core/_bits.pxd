"""Bit primitives shared by the compiled modules: all inline, none raises."""

from libc.stdint cimport uint64_t

cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil
    int __builtin_popcountll(unsigned long long) noexcept nogil


cdef inline int first_set(uint64_t word) noexcept nogil:
    """Return the lowest set bit's position; `word` must not be 0 (undefined)."""
    return __builtin_ctzll(word)


cdef inline int popcount(uint64_t word) noexcept nogil:
    """Return how many bits are set."""
    return __builtin_popcountll(word)


cdef inline uint64_t bit(int position) noexcept nogil:
    """Return the word with one bit set; `position` is from 0 to 63."""
    return <uint64_t> 1 << position
