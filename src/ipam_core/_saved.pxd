"""The complete state of a store, slot by slot."""

from ipam_core._shared cimport Shared

cdef bytes store_snapshot(Shared store)
cdef dict state_of(Shared store)
cdef int load_state(Shared store, object state) except -1
