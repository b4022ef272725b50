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

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._pool cimport Place, Pool
from ipam_core._values cimport Assignment, Eni, PoolStats, Sandbox


cdef class DataStore:
    cdef Pool pool
    cdef dict _numbers                # of ENIs, by id
    cdef bint busy                    # somebody holds the store without the GIL
    cdef PyThread_type_lock lock

    cdef int hold(self) except -1
    cdef void let_go(self) noexcept
    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil
    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil

    cdef int wait(self) except -1
    cdef int number_of(self, str eni_id) except -1
    cdef Eni eni_of(self, int number)
    cdef Assignment assignment_of(self, uint32_t number)
    cdef _set_excluded(self, str eni_id, bint excluded)
    cdef int _attach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                     int slot) except -1
    cdef bint _is_taken(self, int kind, uint64_t high, uint64_t low) noexcept
    cdef list _detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                      bint force)
    cdef int _list_held(self, int number, int kind, int slot, list held) except -1
    cdef list _texts(self, str eni_id, int kinds, bint only_idle, bint cooling, object now_ns)
    cdef Place _place_of(self, str address) except *
    cdef int _reserve(self, Place place) except -1
    cdef Assignment _own(self, uint32_t number, Assignment given, Sandbox sandbox, str pod)
    cdef void _describe(self, uint32_t number, Assignment value) noexcept
    cdef object _refused(self, int answer, int64_t now_ns)
    cdef int _enough_for(self, const uint64_t[:, ::1] digest) noexcept nogil
    cdef Py_ssize_t _first_unknown(self, const uint64_t[:, ::1] digest) noexcept nogil
    cdef PoolStats _stats(self, int64_t now_ns, int card)
    cdef list _dump_slots(self, int rank)
    cdef list _dump_use(self, Place place)
    cdef int _load_slot(self, str eni_id, int kind, int slot, uint64_t high, uint64_t low,
                        list uses) except -1
    cdef int _load_use(self, Place place, int state, int64_t assigned_ns, int64_t released_ns,
                       Sandbox sandbox, str pod) except -1
