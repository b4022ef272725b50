"""Placements of a caller's own: the slots with room, and an address out of one of them."""

from ipam_core._shared cimport Shared
from ipam_core._values cimport Assignment, Sandbox

cdef list store_free_slots(Shared store, object now_ns)
cdef Assignment store_assign_from(Shared store, object cidr, Sandbox sandbox, object pod,
                                  object now_ns)
