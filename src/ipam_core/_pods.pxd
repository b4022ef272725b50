"""Pods and the addresses they hold."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._enis cimport Enis
from ipam_core._pool cimport Place
from ipam_core._values cimport Assignment, PoolStats, Sandbox


cdef class Pods(Enis):
    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil
    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil
    cdef Place place_of(self, str address) except *
    cdef int reserve(self, Place place) except -1
    cdef Assignment own(self, uint32_t number, Assignment given, Sandbox sandbox, str pod)
    cdef object refused(self, int answer, int64_t now_ns)
    cdef PoolStats count(self, int64_t now_ns, int card)
