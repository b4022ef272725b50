"""The pool of a store, shared by its callers: the lock, the clock, the constructor's values."""

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t

from ipam_core._pool cimport Pool


cdef class Shared:
    cdef Pool pool
    cdef dict _numbers                # of ENIs, by id
    cdef int64_t latest_ns            # a time up to this needs no read of the clock
    cdef bint busy                    # a batch holds the store without the GIL
    cdef int process                  # the one that owns this lock
    cdef PyThread_type_lock lock

    cdef int hold(self) except -1
    cdef void let_go(self) noexcept
    cdef int wait(self) except -1
