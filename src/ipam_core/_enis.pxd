"""ENIs."""

from libc.stdint cimport uint32_t

from ipam_core._shared cimport Shared
from ipam_core._values cimport Assignment, Eni


cdef class Enis(Shared):
    cdef int number_of(self, str eni_id) except -1
    cdef Eni eni_of(self, int number)
    cdef set_excluded(self, str eni_id, bint excluded)
    cdef void describe(self, uint32_t number, Assignment value) noexcept
    cdef Assignment assignment_of(self, uint32_t number)
    cdef int list_held(self, int number, int kind, int slot, list held) except -1
