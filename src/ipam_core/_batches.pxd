"""Pods by their digests, many at once."""

from ipam_core._shared cimport Shared

cdef object store_assign_many(Shared store, object digests, object now_ns, bint partial)
cdef object store_release_many(Shared store, object digests, object now_ns, bint partial)
