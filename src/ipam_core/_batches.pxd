"""Pods by their digests, without Python."""

from libc.stdint cimport int64_t, uint64_t

from ipam_core._pods cimport Pods


cdef class Batches(Pods):
    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil
    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil
