"""ENIs."""

from libc.stdint cimport uint32_t

from ipam_core._shared cimport Shared
from ipam_core._values cimport Assignment, Eni

cdef int store_add_eni(Shared store, object eni_id, object device_number, object network_card,
                       bint primary, bint trunk, bint efa, bint excluded, object created_ns,
                       object subnet_id, object route_table) except -1
cdef list store_remove_eni(Shared store, object eni_id, bint force)
cdef int set_excluded(Shared store, str eni_id, bint excluded) except -1
cdef Eni store_eni(Shared store, object eni_id)
cdef tuple store_enis(Shared store)
cdef list store_turns(Shared store, bint copied)
cdef int number_of(Shared store, str eni_id) except -1
cdef Eni eni_of(Shared store, int number)
cdef void describe(Shared store, uint32_t number, Assignment value) noexcept
cdef Assignment assignment_of(Shared store, uint32_t number)
cdef int list_held(Shared store, int number, int kind, int slot, list held) except -1
cdef int check_ids(Shared store) except -1
