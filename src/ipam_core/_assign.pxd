"""The next address: how it is chosen, given to a sandbox and taken back.

It is found in three steps of find-first-set: the ENI (`has_free`), the slot (under `pack` the
level first), the address; under `arbitrary` a walk (`_walk.pxd`) chooses ENI and slot. All of
it is C without Python, as in `_pool.pxd`.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from ipam_core._bits cimport first_set, popcount
from ipam_core._pool cimport (
    ALREADY,
    ARBITRARY,
    DONE,
    EXHAUSTED,
    NO_MEMORY,
    PACK,
    SPREAD,
    UNKNOWN,
    Place,
    Pool,
    pool_cool,
    pool_counts,
    pool_expire,
    pool_hold,
    pool_ranked,
    pool_seated,
)
from ipam_core._records cimport (
    Records,
    record_forget,
    records_reserve,
    table_at,
    table_remove,
    table_seek,
    table_seek_tag,
    table_tag,
)
from ipam_core._slots cimport (
    NONE,
    N_KINDS,
    PREFIX,
    EniState,
    Group,
    slot_pick,
    slot_room,
)
from ipam_core._walk cimport walk_first


cdef inline int32_t eni_n_free(const EniState *eni, int kind) noexcept nogil:
    """Return how many addresses of a kind an ENI could give now if it were not excluded."""
    cdef const Group *group = &eni.groups[kind]
    return slot_room(kind) * popcount(group.attached) - group.n_held - group.n_cooling


cdef inline int64_t pool_n_assignable(const Pool *pool) noexcept nogil:
    """Return how many addresses could be assigned now."""
    cdef int64_t n_free = 0
    cdef int kind, rank
    for kind in range(N_KINDS):
        if pool_counts(pool, kind):
            for rank in range(pool.n_enis):
                if not pool_ranked(pool, rank).excluded:
                    n_free += eni_n_free(pool_ranked(pool, rank), kind)
    return n_free


cdef inline int pool_roomiest(const Pool *pool, int kind) noexcept nogil:
    """Return the lowest seat of those with the most free addresses of a kind."""
    cdef uint64_t seats = pool.has_free[kind]
    cdef int seat, n_free, most = -1, roomiest = 0
    while seats:
        seat = first_set(seats)
        seats &= seats - 1
        n_free = eni_n_free(pool_seated(pool, seat), kind)
        if n_free > most:
            most, roomiest = n_free, seat
    return roomiest


cdef inline int pool_next(Pool *pool, Place *place) noexcept nogil:
    """Choose the address to assign next by the placement.

    Of the kinds of the mode, prefixes come first, on any ENI, so that in mode `mixed` the
    secondary IPs drain. Returns DONE, EXHAUSTED or NO_MEMORY, which changes nothing.
    """
    cdef uint64_t random = pool.random
    cdef EniState *eni
    cdef int64_t offset
    cdef int kind = N_KINDS - 1
    while kind >= 0 and not (pool_counts(pool, kind) and pool.has_free[kind]):
        kind -= 1
    if kind < 0:
        return EXHAUSTED
    place.kind = kind
    if pool.placement == ARBITRARY:
        place.eni = pool.seats[walk_first(pool.has_free[kind], pool.reach, &random)]
        eni = pool.enis[place.eni]
        place.slot = walk_first(eni.groups[kind].has_free, eni.reach, &random)
    else:
        place.eni = pool.seats[pool_roomiest(pool, kind) if pool.placement == SPREAD
                               else first_set(pool.has_free[kind])]
        eni = pool.enis[place.eni]
        place.slot = first_set(
            eni.prefixes.levels.level[first_set(eni.prefixes.levels.levels)]
            if kind == PREFIX and pool.placement == PACK else eni.groups[kind].has_free)
    offset = slot_pick(pool.enis[place.eni], kind, place.slot, pool.placement == ARBITRARY)
    if offset < 0:
        return NO_MEMORY
    place.offset = <uint32_t> offset
    pool.random = random
    return DONE


cdef inline int pool_assign(Pool *pool, const uint64_t *digest, int64_t now_ns,
                            uint32_t *number) noexcept nogil:
    """Assign an address to a digest; `number` is its record.

    Returns DONE, ALREADY if it has one, EXHAUSTED or NO_MEMORY, which change nothing.
    """
    cdef Records *records = &pool.records
    cdef Place place
    cdef uint32_t tag, position
    cdef int answer
    if records_reserve(records) < 0:
        return NO_MEMORY
    tag = table_tag(records, digest)
    position = table_seek_tag(records, digest, tag)
    number[0] = table_at(records, position)
    if number[0] != NONE:
        return ALREADY
    pool_expire(pool, now_ns)
    answer = pool_next(pool, &place)
    if answer == DONE:
        number[0] = pool_hold(pool, place, position, tag, digest, now_ns)
    return answer


cdef inline int pool_release(Pool *pool, const uint64_t *digest, int64_t now_ns,
                             uint32_t *number) noexcept nogil:
    """Release what a digest holds and let it cool; `number` is its record.

    Returns DONE or UNKNOWN. Takes the GIL only if the record owns an assignment.
    """
    cdef uint32_t position = table_seek(&pool.records, digest)
    number[0] = table_at(&pool.records, position)
    if number[0] == NONE:
        return UNKNOWN
    if pool.records.array[number[0]].assignment != NULL:
        with gil:
            record_forget(&pool.records.array[number[0]])
    table_remove(&pool.records, position)
    pool_cool(pool, number[0], now_ns)
    return DONE
