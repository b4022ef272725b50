"""Pods and the addresses they hold."""

from libc.stdint cimport int64_t, uint32_t

from ipam_core._attached cimport Attached
from ipam_core._pool cimport Place
from ipam_core._values cimport Assignment, PoolStats, Sandbox


cdef class Pods(Attached):
    cdef Assignment give(self, Sandbox sandbox, object pod, int64_t now)
    cdef Assignment take_back(self, Sandbox sandbox, int64_t now)
    cdef Place place_of(self, str address) except *
    cdef int reserve(self, Place place) except -1
    cdef Assignment own(self, uint32_t number, Assignment given, Sandbox sandbox, str pod)
    cdef Assignment named(self, uint32_t number, Assignment given, Sandbox sandbox, str pod)
    cdef Assignment known_as(self, uint32_t number, Sandbox sandbox)
    cdef object refused(self, int answer, int64_t now_ns)
    cdef PoolStats count(self, int64_t now_ns, int card)
