"""Bit primitives shared by the compiled modules: all inline, none raises."""

from libc.stdint cimport uint64_t

cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil


cdef inline int first_set(uint64_t word) noexcept nogil:
    """Return the lowest set bit's position; `word` must not be 0 (undefined)."""
    return __builtin_ctzll(word)
