"""ENIs and what is attached to them."""

from libc.stdint cimport uint32_t, uint64_t

from ipam_core._shared cimport Shared
from ipam_core._values cimport Assignment, Eni


cdef class Enis(Shared):
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
    cdef list texts(self, object eni_id, int kinds, bint only_idle, bint cooling, object now_ns)
