"""Pods by their digests, many at once and without the GIL: for NumPy."""

from libc.stdint cimport int64_t, uint64_t

from ipam_core._arguments cimport time_ns
from ipam_core._batch cimport (
    batch_assign,
    batch_expire,
    batch_find,
    batch_fits,
    batch_release,
    batch_unknown,
)
from ipam_core._pods cimport refused
from ipam_core._pool cimport DONE
from ipam_core._shared cimport Shared
from ipam_core._values cimport sandbox_of

from ipam_core._extras import numpy_for
from ipam_core.errors import UnknownSandboxError


cdef tuple batch_of(object digests):
    """Return a batch's digests, copied, and an array for addresses, as arrays."""
    np = numpy_for("a batch of pods")

    rows = np.array(digests, order="C")
    if rows.dtype != np.uint64:
        raise TypeError(f"digests are uint64, not {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"digests have shape (n, 2), not {rows.shape}")
    return rows, np.empty_like(rows)


cdef object store_assign_many(Shared store, object digests, object now_ns, bint partial):
    """Assign an address to each of n sandboxes, without the GIL."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef tuple batch = batch_of(digests)
    cdef const uint64_t[:, ::1] digest = batch[0]
    cdef uint64_t[:, ::1] address = batch[1]
    cdef Py_ssize_t n = digest.shape[0]
    cdef int answer = DONE
    if n == 0:
        return batch[1]
    store.hold()
    try:
        with nogil:
            batch_expire(&store.pool, now)
            if not partial:
                answer = batch_fits(&store.pool, &digest[0, 0], n)
            if answer == DONE:
                answer = batch_assign(&store.pool, &digest[0, 0], n, now, &address[0, 0])
    finally:
        store.let_go()
    if answer != DONE:
        raise refused(store, answer, now)
    return batch[1]


cdef object store_release_many(Shared store, object digests, object now_ns, bint partial):
    """Release what each of n sandboxes holds, without the GIL."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef tuple batch = batch_of(digests)
    cdef const uint64_t[:, ::1] digest = batch[0]
    cdef uint64_t[:, ::1] address = batch[1]
    cdef Py_ssize_t n = digest.shape[0], unknown = n
    if n == 0:
        return batch[1]
    store.hold()
    try:
        with nogil:
            if partial:
                batch_find(&store.pool, &digest[0, 0], n, &address[0, 0])
            else:
                unknown = batch_unknown(&store.pool, &digest[0, 0], n, &address[0, 0])
            if unknown == n:
                batch_release(&store.pool, &digest[0, 0], n, now, &address[0, 0])
    finally:
        store.let_go()
    if unknown < n:
        raise UnknownSandboxError(sandbox_of(&digest[unknown, 0]))
    return batch[1]
