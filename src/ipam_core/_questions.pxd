"""Questions about a store that change nothing."""

from ipam_core._shared cimport Shared
from ipam_core._values cimport EniStats, FreeEniAnswer, PoolStats

cdef PoolStats store_stats(Shared store, object now_ns, object network_card)
cdef EniStats store_eni_stats(Shared store, object eni_id, object now_ns)
cdef object store_next_cool_ns(Shared store, object now_ns)
cdef list store_growable_enis(Shared store, int max_slots)
cdef FreeEniAnswer store_find_freeable_eni(Shared store, object warm_ip, object minimum_ip,
                                           object warm_prefix, double min_age_s, object now_ns)
cdef object store_free_counts(Shared store, object now_ns)
cdef object store_assignment_ages_ns(Shared store, object now_ns)
