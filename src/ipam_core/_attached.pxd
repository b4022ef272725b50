"""The secondary IPs and prefixes of ENIs."""

from libc.stdint cimport uint64_t

from ipam_core._shared cimport Shared

cdef int store_add_address(Shared store, object eni_id, object address) except -1
cdef int store_add_prefix(Shared store, object eni_id, object prefix) except -1
cdef int attach(Shared store, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                int slot) except -1
cdef list store_remove_address(Shared store, object eni_id, object address, bint force)
cdef list store_remove_prefix(Shared store, object eni_id, object prefix, bint force)
cdef list store_freeable_cidrs(Shared store, object eni_id, bint cooling, object now_ns)
cdef list texts_of(Shared store, object eni_id, int kinds, bint only_idle, bint cooling,
                   object now_ns)
