"""The secondary IPs and prefixes of ENIs."""

from libc.stdint cimport uint64_t

from ipam_core._enis cimport Enis


cdef class Attached(Enis):
    cdef int attach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                    int slot) except -1
    cdef bint is_taken(self, int kind, uint64_t high, uint64_t low) noexcept
    cdef list detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                     bint force)
    cdef list texts(self, object eni_id, int kinds, bint only_idle, bint cooling, object now_ns)
