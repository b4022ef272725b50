"""Assign and release out of another compiled module, without Python and without the GIL.

`cimport`ing the DataStore gives its C level: `c_reserve` asks for memory, `c_assign`
and `c_release` work on digests of 128 bits and answer with codes. `_hold` keeps other
threads out while the GIL is away.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._store cimport DONE, DataStore


def churn(DataStore store not None, int n_pods, int64_t start_ns):
    """Give `n_pods` pods an address each and take it back, a second later each.

    Returns how many were served. What the store's cooldown leaves is what it has.
    """
    cdef uint64_t[2] digest
    cdef uint32_t record
    cdef int served = 0, pod, answer
    store._hold()
    try:
        with nogil:
            for pod in range(n_pods):
                digest[0] = digest[1] = <uint64_t> pod + 1
                if store.c_reserve(1) != DONE:
                    break
                answer = store.c_assign(digest, start_ns + pod * 1000000000LL, &record)
                if answer == DONE:
                    served += 1
                    store.c_release(digest, start_ns + pod * 1000000000LL, &record)
    finally:
        store._let_go()
    return served
