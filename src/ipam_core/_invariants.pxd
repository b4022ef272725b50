"""The check of a pool's invariants."""

from ipam_core._pool cimport Pool

cdef int check_invariants(const Pool *pool) except -1
