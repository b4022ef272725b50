"""The DataStore for other compiled code: `from ipam_core._store cimport DataStore`.

`c_assign` and `c_release` are a plain call without Python: no object is made, nothing
is raised. Whoever calls them has the GIL, or holds the store:

    store.hold()                  # waits for others; they wait from now on
    try:
        with nogil:
            answer = store.c_assign(digest, now_ns, address)
    finally:
        store.let_go()

`digest` is a Sandbox's 16 bytes as two words; `address` gets the high and the low 64
bits, an IPv4 address in the low 32. The answers are those of ipam_core._pool.
"""

from libc.stdint cimport int64_t, uint64_t

from ipam_core._pods cimport Pods
from ipam_core._pool cimport Place
from ipam_core._values cimport Sandbox


cdef class DataStore(Pods):
    cdef list dump_slots(self, int rank)
    cdef list dump_use(self, Place place)
    cdef int load_maps(self, object maps) except -1
    cdef int load_slot(self, str eni_id, int kind, int slot, uint64_t high, uint64_t low,
                       list uses) except -1
    cdef int load_use(self, Place place, int state, int64_t assigned_ns, int64_t released_ns,
                      Sandbox sandbox, str pod) except -1
