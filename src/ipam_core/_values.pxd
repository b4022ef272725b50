"""The values that a DataStore takes and returns."""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint64_t


cdef class Sandbox:
    cdef readonly str container_id, ifname, network
    cdef uint64_t c_digest[2]
    cdef bint c_named

cdef Sandbox sandbox_of(const uint64_t *digest)


cdef class Assignment:
    cdef readonly Sandbox sandbox
    cdef readonly str pod, eni_id
    cdef readonly int64_t assigned_ns
    cdef readonly int device_number
    cdef int c_kind
    cdef uint64_t c_high, c_low

    cdef tuple key(self)


cdef enum: N_SPARES = 64

cdef struct Spares:           # memory of assignments that were dropped, to be filled in again
    int n
    void *memory[N_SPARES]

cdef Spares spares
cdef int spare_one() except -1

cdef extern from *:
    """
    #define ipam_begun(memory, type) ((void *) PyObject_Init((PyObject *) (memory), type))
    /* Set the objects of an assignment that has none yet: nothing is released. */
    #define ipam_own(self, of, name, on) \\
        ((self)->sandbox = (void *) (of), (self)->pod = (void *) (name), \\
         (self)->eni_id = (void *) (on))
    """
    Assignment ipam_begun(void *memory, PyTypeObject *type)
    void ipam_own(Assignment self, PyObject *of, PyObject *name, PyObject *on)


cdef inline Assignment assignment_new(Sandbox sandbox, str pod, PyObject *eni_id):
    """Return a new assignment with its objects, in spare memory: call `spare_one` before."""
    cdef Assignment made
    spares.n -= 1
    made = ipam_begun(spares.memory[spares.n], <PyTypeObject*> Assignment)
    Py_INCREF(sandbox)
    Py_INCREF(pod)
    Py_INCREF(<object> eni_id)
    ipam_own(made, <PyObject*> sandbox, <PyObject*> pod, eni_id)
    return made


cdef class PoolStats:
    cdef readonly int64_t total, assigned, cooling
    cdef readonly int prefixes, free_prefixes, enis


cdef class Eni:
    cdef readonly str eni_id
    cdef readonly int device_number, network_card
    cdef readonly bint primary, trunk, efa, excluded
    cdef readonly int64_t created_ns
    cdef readonly str subnet_id
    cdef readonly int route_table


cdef class EniStats:
    cdef readonly Eni eni
    cdef readonly int slots_used
    cdef readonly int64_t total
    cdef readonly int assigned, cooling, assigned_any, cooling_any
    cdef readonly int addresses, prefixes, free_prefixes


cdef class UsedAddress:
    cdef readonly str address, prefix
    cdef readonly Sandbox sandbox
    cdef readonly str pod
    cdef readonly int64_t assigned_ns, released_ns


cdef class FreeSlot:
    cdef readonly str eni_id
    cdef readonly int device_number
    cdef readonly str cidr
    cdef readonly int n_free, n_assigned, n_cooling


cdef class FreeEniAnswer:
    cdef readonly str eni_id
    cdef readonly tuple candidates
    cdef readonly dict reasons
