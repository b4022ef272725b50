"""ENIs."""

from libc.stdint cimport uint32_t

from ipam_core._pool cimport pool_address
from ipam_core._records cimport Record
from ipam_core._shared cimport Shared
from ipam_core._slots cimport EniState
from ipam_core._values cimport Assignment, Eni, Sandbox, assignment_new

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
cdef Assignment assignment_of(Shared store, uint32_t number)
cdef int list_held(Shared store, int number, int kind, int slot, list held) except -1
cdef int check_ids(Shared store) except -1


cdef inline Assignment described(Shared store, uint32_t number, Sandbox sandbox, str pod):
    """Return a new assignment of a record's address; call `spare_one` before."""
    cdef const Record *record = &store.pool.records.array[number]
    cdef const EniState *eni = store.pool.enis[record.eni]
    cdef Assignment value = assignment_new(sandbox, pod, eni.eni_id)
    value.device_number = eni.device_number
    value.assigned_ns, value.c_kind = record.assigned_ns, record.kind
    pool_address(&store.pool, number, &value.c_high, &value.c_low)
    return value
