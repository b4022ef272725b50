"""ENIs and what is attached to them; the lock of the store."""

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport uint32_t, uint64_t

from ipam_core._pool cimport Pool
from ipam_core._values cimport Assignment, Eni


cdef class Enis:
    cdef Pool pool
    cdef dict _numbers                # of ENIs, by id
    cdef bint busy                    # somebody holds the store without the GIL
    cdef PyThread_type_lock lock

    cdef int hold(self) except -1
    cdef void let_go(self) noexcept
    cdef int wait(self) except -1
    cdef int number_of(self, str eni_id) except -1
    cdef Eni eni_of(self, int number)
    cdef int attach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                    int slot) except -1
    cdef void describe(self, uint32_t number, Assignment value) noexcept
    cdef Assignment assignment_of(self, uint32_t number)
    cdef set_excluded(self, str eni_id, bint excluded)
    cdef bint is_taken(self, int kind, uint64_t high, uint64_t low) noexcept
    cdef list detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                     bint force)
    cdef int list_held(self, int number, int kind, int slot, list held) except -1
    cdef list texts(self, str eni_id, int kinds, bint only_idle, bint cooling, object now_ns)
