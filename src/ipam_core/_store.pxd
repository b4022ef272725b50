"""The DataStore for other compiled code: `from ipam_core._store cimport DataStore`.

`c_assign` and `c_release` are plain calls without Python: no object is made, nothing is
raised. The caller has the GIL, or holds the store:

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

from ipam_core._manners cimport Manners


cdef class DataStore(Manners):
    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil
    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil
