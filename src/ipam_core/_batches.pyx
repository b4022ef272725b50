"""Pods by their digests, without the GIL: for other compiled code and NumPy."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport time_ns
from ipam_core._assign cimport pool_assign, pool_release
from ipam_core._batch cimport batch_assign, batch_fits, batch_release, batch_unknown
from ipam_core._pool cimport ALREADY, DONE, pool_address, pool_expire
from ipam_core._values cimport sandbox_of

from ipam_core.errors import UnknownSandboxError


cdef tuple batch_of(object digests):
    """Return a batch's digests, copied, and an array for addresses, as arrays."""
    import numpy as np

    rows = np.array(digests, order="C")
    if rows.dtype != np.uint64:
        raise TypeError(f"digests are uint64, not {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"digests have shape (n, 2), not {rows.shape}")
    return rows, np.empty_like(rows)


cdef class Batches(Pods):
    """The assignments of a store by digest, one by one in C and many at once."""

    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil:
        """Assign to a digest; see _store.pxd. Changes `address` only on DONE and ALREADY."""
        cdef uint32_t number
        cdef int answer = pool_assign(&self.pool, digest, now_ns, &number)
        if answer == DONE or answer == ALREADY:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil:
        """Release what a digest holds; see _store.pxd. Changes `address` only on DONE."""
        cdef uint32_t number
        cdef int answer = pool_release(&self.pool, digest, now_ns, &number)
        if answer == DONE:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    def assign_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Assign an address to each of n sandboxes, without the GIL.

        `digests` is (n, 2) uint64, each row a sandbox's digest (`Sandbox.digest`). Returns (n,
        2) uint64, each address as its high and low 64 bits. Sandboxes that hold an address
        keep it. With `partial`, rows without an address are all ones; without,
        `PoolExhaustedError` is raised if there are not enough, and none is assigned. After a
        `MemoryError` the rows before it hold their addresses. Cost: constant a row.
        """
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef tuple batch = batch_of(digests)
        cdef const uint64_t[:, ::1] digest = batch[0]
        cdef uint64_t[:, ::1] address = batch[1]
        cdef Py_ssize_t n = digest.shape[0]
        cdef int answer = DONE
        if n == 0:
            return batch[1]
        self.hold()
        try:
            with nogil:
                pool_expire(&self.pool, now)
                if not partial:
                    answer = batch_fits(&self.pool, &digest[0, 0], n)
                if answer == DONE:
                    answer = batch_assign(&self.pool, &digest[0, 0], n, now, &address[0, 0])
        finally:
            self.let_go()
        if answer != DONE:
            raise self.refused(answer, now)
        return batch[1]

    def release_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Release what each of n sandboxes holds, without the GIL.

        `digests` and the result are as in `assign_many`. With `partial`, rows of sandboxes
        that hold nothing are all ones; without, `UnknownSandboxError` names the first of
        these, or the first that is repeated, and none is released. Cost: constant a row.
        """
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
        cdef tuple batch = batch_of(digests)
        cdef const uint64_t[:, ::1] digest = batch[0]
        cdef uint64_t[:, ::1] address = batch[1]
        cdef Py_ssize_t n = digest.shape[0], unknown = n
        if n == 0:
            return batch[1]
        self.hold()
        try:
            with nogil:
                if not partial:
                    unknown = batch_unknown(&self.pool, &digest[0, 0], n)
                if unknown == n:
                    batch_release(&self.pool, &digest[0, 0], n, now, &address[0, 0])
        finally:
            self.let_go()
        if unknown < n:
            raise UnknownSandboxError(sandbox_of(&digest[unknown, 0]))
        return batch[1]
