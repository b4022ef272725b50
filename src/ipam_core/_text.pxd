"""Addresses and prefixes as text, and in the internal form: a kind and 128 bits."""

from libc.stdint cimport uint64_t

cdef str plain_text(object value, str what)
cdef str given_text(object value)
cdef str address_text(int kind, uint64_t high, uint64_t low)
cdef str prefix_text(int kind, uint64_t high, uint64_t low)
cdef int read_address(str text, int *family, uint64_t *high, uint64_t *low) except -1
cdef int read_prefix(str text, int *kind, uint64_t *high, uint64_t *low) except -1
