"""A subnet's blocks, their memory, and the questions about them."""

from libc.stdint cimport int64_t, uint32_t

from ipam_core._blocks cimport Blocks


cdef class Memory:
    cdef char *start
    cdef Py_ssize_t size

cdef Memory memory_of(int n_blocks)


cdef class SubnetView:
    cdef readonly str cidr, placement
    cdef tuple _reservations   # (cidr, type) pairs
    cdef uint32_t _base
    cdef int _choice           # the placement, as a number
    cdef Memory _memory        # `_blocks` points into it; views keep it alive
    cdef Blocks _blocks

    cdef object __weakref__

    cdef tuple state(self)
    cdef object view(self, str dtype, int start)
    cdef int offset_of(self, int64_t address) except -1
    cdef object refusal(self, int offset, bint release)
