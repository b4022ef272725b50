"""A proof of a pool's invariants."""

from ipam_core._pool cimport Pool

cdef int prove(const Pool *pool) except -1
