"""Pods and the addresses they hold."""

from libc.stdint cimport int64_t, uint32_t

from ipam_core._pool cimport Place
from ipam_core._shared cimport Shared
from ipam_core._values cimport Assignment, PoolStats, Sandbox

cdef Assignment store_assign(Shared store, Sandbox sandbox, object pod, object now_ns)
cdef Assignment store_try_assign(Shared store, Sandbox sandbox, object pod, object now_ns)
cdef Assignment store_adopt(Shared store, Sandbox sandbox, object address, object pod,
                            object now_ns, bint beside)
cdef int store_cool(Shared store, object address, object released_ns) except -1
cdef Assignment store_release(Shared store, Sandbox sandbox, object now_ns)
cdef Assignment store_try_release(Shared store, Sandbox sandbox, object now_ns)
cdef Assignment store_unassign(Shared store, Sandbox sandbox)
cdef Assignment store_find(Shared store, Sandbox sandbox)
cdef Assignment store_find_address(Shared store, object address)
cdef list store_assignments(Shared store)
cdef list store_used_addresses(Shared store, object eni_id)
cdef int reserve(Shared store, Place place) except -1
cdef Assignment own(Shared store, uint32_t number, Sandbox sandbox, str pod)
cdef Assignment own_named(Shared store, uint32_t number, Sandbox sandbox, str pod)
cdef object refused(Shared store, int answer, int64_t now_ns)
cdef PoolStats counts_of(Shared store, int64_t now_ns, int card)
