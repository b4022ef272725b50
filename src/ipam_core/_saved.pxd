"""The complete state of a store, slot by slot."""

from libc.stdint cimport int64_t, uint64_t

from ipam_core._batches cimport Batches
from ipam_core._pool cimport Place
from ipam_core._values cimport Sandbox


cdef class Saved(Batches):
    cdef list dump_slots(self, int rank)
    cdef list dump_use(self, Place place)
    cdef int load_maps(self, object maps) except -1
    cdef int load_slot(self, str eni_id, int kind, int slot, uint64_t high, uint64_t low,
                       list uses) except -1
    cdef int64_t past_ns(self, object given_ns) except? -1
    cdef int load_use(self, Place place, int state, int64_t assigned_ns, int64_t released_ns,
                      Sandbox sandbox, str pod) except -1
