"""Questions about a store that change nothing: the part of the DataStore for the pool's rules."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from ipam_core._arguments cimport MOST_SECONDS, checked_int, most_ns, time_ns
from ipam_core._bits cimport first_set, popcount
from ipam_core._enis cimport eni_of, number_of
from ipam_core._freeable cimport (
    NOTHING_KEEPS,
    Needs,
    freed_first,
    needs_of,
    pool_freeable,
)
from ipam_core._pods cimport counts_of
from ipam_core._pool cimport (
    N_ENIS,
    pool_counts,
    pool_expire,
    pool_ranked,
    pool_seated,
)
from ipam_core._records cimport cooling_oldest
from ipam_core._shared cimport Shared
from ipam_core._slots cimport (
    COOLING,
    HELD,
    NONE,
    N_KINDS,
    N_SLOTS,
    SECONDARY_IP,
    EniState,
    eni_n_slots,
    slot_count,
    slot_room,
    slot_size,
)
from ipam_core._text cimport plain_text
from ipam_core._values cimport EniStats, FreeEniAnswer, PoolStats

from ipam_core._extras import numpy_for


cdef tuple KEPT = (None, "primary", "trunk", "efa", "too young", "has pods", "cooling",
                   "needed for WARM_IP_TARGET", "needed for MINIMUM_IP_TARGET",
                   "needed for WARM_PREFIX_TARGET")    # by `Keeps`


cdef PoolStats store_stats(Shared store, object now_ns, object network_card):
    """Return the counts of all ENIs, or of one network card's."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef int card = -1
    if network_card is not None:
        card = checked_int(network_card, 0, 0x7FFF_FFFF, "network_card")
    store.wait()
    return counts_of(store, now, card)


cdef EniStats store_eni_stats(Shared store, object eni_id, object now_ns):
    """Return one ENI's counts, excluded or not."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef str name = plain_text(eni_id, "eni_id")
    cdef EniStats value = EniStats.__new__(EniStats)
    cdef EniState *eni
    cdef int number, kind
    store.wait()
    number = number_of(store, name)
    eni = store.pool.enis[number]
    pool_expire(&store.pool, now)
    value.eni = eni_of(store, number)
    value.addresses = popcount(eni.groups[SECONDARY_IP].attached)
    for kind in range(N_KINDS):
        if kind != SECONDARY_IP:
            value.prefixes += popcount(eni.groups[kind].attached)
            value.free_prefixes += popcount(eni.groups[kind].idle)
        if pool_counts(&store.pool, kind):
            value.total += slot_size(kind) * popcount(eni.groups[kind].attached)
            value.assigned += eni.groups[kind].n_held
            value.cooling += eni.groups[kind].n_cooling
        value.assigned_any += eni.groups[kind].n_held
        value.cooling_any += eni.groups[kind].n_cooling
    value.slots_used = value.addresses + value.prefixes
    return value


cdef object store_next_cool_ns(Shared store, object now_ns):
    """Return when the next cooldown is over, None if nothing cools."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef uint32_t number
    store.wait()
    pool_expire(&store.pool, now)
    number = cooling_oldest(&store.pool.records)
    if number == NONE:
        return None
    return store.pool.records.array[number].released_ns + store.pool.cooldown_ns + 1


cdef list store_growable_enis(Shared store, int max_slots):
    """Return the ENIs, not excluded, with fewer than `max_slots` slots in use."""
    cdef list found = []
    cdef EniState *eni
    cdef int rank
    store.wait()
    for rank in range(store.pool.n_enis):
        eni = pool_ranked(&store.pool, rank)
        if not eni.excluded and eni_n_slots(eni) < max_slots:
            found.append(<str> eni.eni_id)
    return found


cdef FreeEniAnswer store_find_freeable_eni(Shared store, object warm_ip, object minimum_ip,
                                           object warm_prefix, double min_age_s, object now_ns):
    """Find an ENI that can be freed under these targets, and why each other cannot."""
    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef int64_t for_free = checked_int(warm_ip, -most_ns(), most_ns(), "warm_ip")
    cdef int64_t for_total = checked_int(minimum_ip, -most_ns(), most_ns(), "minimum_ip")
    cdef int64_t for_idle = checked_int(warm_prefix, -most_ns(), most_ns(), "warm_prefix")
    cdef PoolStats stats
    cdef FreeEniAnswer answer = FreeEniAnswer.__new__(FreeEniAnswer)
    cdef list candidates = []
    cdef dict reasons = {}
    cdef int rank
    cdef uint64_t freeable
    cdef uint8_t kept[N_ENIS]
    cdef Needs needs
    if not 0 <= min_age_s <= MOST_SECONDS:
        raise ValueError(f"min_age_s {min_age_s}: from 0 to {MOST_SECONDS}")
    store.wait()
    stats = counts_of(store, now, -1)
    needs_of(&needs, &store.pool, for_free, for_total, for_idle,
             now - <int64_t> (min_age_s * 1e9))
    freeable = pool_freeable(&store.pool, &needs, stats.total, stats.assigned, kept)
    for rank in range(store.pool.n_enis):
        if kept[rank] == NOTHING_KEEPS:
            candidates.append(<str> pool_ranked(&store.pool, rank).eni_id)
        else:
            reasons[<str> pool_ranked(&store.pool, rank).eni_id] = KEPT[kept[rank]]
    if freeable:
        answer.eni_id = <str> pool_seated(
            &store.pool, freed_first(&store.pool, freeable)).eni_id
    answer.candidates, answer.reasons = tuple(candidates), reasons
    return answer


cdef object store_free_counts(Shared store, object now_ns):
    """Return how many addresses each slot of the mode's own kinds can give now."""
    np = numpy_for("counts by slot")

    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef uint32_t[::1] counts = np.empty(N_ENIS * N_SLOTS, dtype=np.uint32)
    cdef EniState *eni
    cdef uint64_t slots
    cdef int rank, kind, slot, n = 0
    store.wait()
    pool_expire(&store.pool, now)
    for rank in range(store.pool.n_enis):
        eni = pool_ranked(&store.pool, rank)
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached if pool_counts(&store.pool, kind) else 0
            while slots:
                slot = first_set(slots)
                slots &= slots - 1
                counts[n] = 0 if eni.excluded else (
                    slot_room(kind) - slot_count(eni, kind, slot, HELD)
                    - slot_count(eni, kind, slot, COOLING))
                n += 1
    return np.array(counts[:n])


cdef object store_assignment_ages_ns(Shared store, object now_ns):
    """Return how long ago each assignment was made, int64, in the order of `assignments`."""
    np = numpy_for("the ages of assignments")

    cdef int64_t now = time_ns(now_ns, &store.latest_ns, "now_ns")
    cdef int64_t[::1] ages
    cdef uint32_t number, n = 0
    cdef object found = None
    while found is None or len(found) != store.pool.records.n_in_table:
        found = np.empty(store.pool.records.n_in_table, dtype=np.int64)
        ages = found
        store.wait()
    for number in range(store.pool.records.n_records):
        if store.pool.records.array[number].state == HELD:
            ages[n] = now - store.pool.records.array[number].assigned_ns
            n += 1
    return found
