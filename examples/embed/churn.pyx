"""Assign and release out of another compiled module, without Python and without the GIL.

`cimport`ing the DataStore gives its C level: `c_assign` and `c_release` work on digests
of 128 bits, fill in the address, and answer with codes. `hold` keeps other threads out
while the GIL is away.
"""

from libc.stdint cimport int64_t, uint64_t

from ipam_core._pool cimport DONE
from ipam_core._store cimport DataStore


def churn(DataStore store not None, int n_pods, int64_t start_ns):
    """Give `n_pods` pods an address each and take it back, a second later each.

    Returns how many were served. What the store's cooldown leaves is what it has.
    """
    cdef uint64_t[2] digest
    cdef uint64_t[2] address
    cdef int64_t now_ns
    cdef int served = 0, pod
    store.hold()
    try:
        with nogil:
            for pod in range(n_pods):
                now_ns = start_ns + pod * 1000000000LL
                digest[0] = digest[1] = <uint64_t> pod + 1
                if store.c_assign(digest, now_ns, address) == DONE:
                    served += 1
                    store.c_release(digest, now_ns, address)
    finally:
        store.let_go()
    return served
