"""Which ENIs can be freed under which targets, and why each other cannot.

Source: pool-rules section 5.3; getDeletableENI of pkg/ipamd/datastore/data_store.go. All of it
is C without Python.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from ipam_core._bits cimport bit, last_set, popcount
from ipam_core._pool cimport ARBITRARY, Pool, pool_counts, pool_ranked
from ipam_core._slots cimport (
    N_KINDS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    EniState,
    slot_size,
)
from ipam_core._walk cimport walk_first

cdef enum Keeps:              # why an ENI is kept, by rising order of what is asked
    NOTHING_KEEPS = 0
    IS_PRIMARY = 1
    IS_TRUNK = 2
    IS_EFA = 3
    TOO_YOUNG = 4
    HAS_PODS = 5
    COOLS = 6
    FOR_WARM_IP = 7
    FOR_MINIMUM_IP = 8
    FOR_WARM_PREFIX = 9


cdef struct Needs:            # what the other ENIs must hold; `born_by`: older ENIs may go
    int64_t free
    int64_t total
    int64_t idle
    int64_t born_by


cdef inline void needs_of(Needs *needs, const Pool *pool, int64_t warm_ip, int64_t minimum_ip,
                          int64_t warm_prefix, int64_t born_by) noexcept nogil:
    """Fill in what targets need: in prefix mode whole prefixes, and only there `warm_prefix`."""
    needs.free, needs.total, needs.idle, needs.born_by = warm_ip, minimum_ip, 0, born_by
    if pool.kinds == 1 << PREFIX:
        needs.free = (warm_ip + PER_CELL - 1) // PER_CELL * PER_CELL
        needs.total = (minimum_ip + PER_CELL - 1) // PER_CELL * PER_CELL
        needs.idle = warm_prefix


cdef inline int64_t eni_counted(const Pool *pool, const EniState *eni) noexcept nogil:
    """Return how many addresses of an ENI the pool counts."""
    cdef int64_t total = 0
    cdef int kind
    if not eni.excluded:
        for kind in range(N_KINDS):
            if pool_counts(pool, kind):
                total += slot_size(kind) * popcount(eni.groups[kind].attached)
    return total


cdef inline int64_t eni_idle(const EniState *eni) noexcept nogil:
    """Return what of an ENI counts as a free prefix: a secondary IP without a pod does, too."""
    if eni.excluded:
        return 0
    return popcount(eni.groups[SECONDARY_IP].idle) + popcount(eni.groups[PREFIX].idle)


cdef inline Keeps eni_kept(const EniState *eni, int64_t born_by) noexcept nogil:
    """Return what keeps an ENI whatever the targets."""
    cdef int kind
    if eni.primary:
        return IS_PRIMARY
    if eni.trunk:
        return IS_TRUNK
    if eni.efa:
        return IS_EFA
    if eni.created_ns > born_by:
        return TOO_YOUNG
    for kind in range(N_KINDS):
        if eni.groups[kind].n_held:
            return HAS_PODS
    for kind in range(N_KINDS):
        if eni.groups[kind].n_cooling:
            return COOLS
    return NOTHING_KEEPS


cdef inline uint64_t pool_freeable(const Pool *pool, const Needs *needs, int64_t total,
                                   int64_t assigned, uint8_t *kept) noexcept nogil:
    """Return the seats of the ENIs that can be freed; `kept` says why of each rank.

    `total` and `assigned` are the pool's; cooldowns that are over must be seen to be.
    """
    cdef const EniState *eni
    cdef uint64_t freeable = 0
    cdef int64_t idle = 0, without
    cdef int rank
    for rank in range(pool.n_enis):
        idle += eni_idle(pool_ranked(pool, rank))
    for rank in range(pool.n_enis):
        eni = pool_ranked(pool, rank)
        kept[rank] = eni_kept(eni, needs.born_by)
        if kept[rank] != NOTHING_KEEPS:
            continue
        without = total - eni_counted(pool, eni)
        if needs.free > 0 and without - assigned < needs.free:
            kept[rank] = FOR_WARM_IP
        elif needs.total > 0 and without < needs.total:
            kept[rank] = FOR_MINIMUM_IP
        elif needs.idle > 0 and needs.idle > idle - eni_idle(eni):
            kept[rank] = FOR_WARM_PREFIX
        else:
            freeable |= bit(eni.seat)
    return freeable


cdef inline int freed_first(const Pool *pool, uint64_t freeable) noexcept nogil:
    """Return the seat of the ENI that goes first; a question, so that it draws nothing."""
    cdef uint64_t chance = pool.random
    if pool.placement == ARBITRARY:
        return walk_first(freeable, pool.reach, &chance)
    return last_set(freeable)
