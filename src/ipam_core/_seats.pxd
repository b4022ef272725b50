"""Seats in Go's maps (`_walk`): of a store's ENIs, and of an ENI's secondary IPs and /28s.

Only under placement `arbitrary`. An ENI's seat is its bit in `Pool.has_free`; the seat of
an address or prefix is its slot. A map that grows gives every entry a new seat.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from ipam_core._bits cimport bit, first_set, last_set, popcount
from ipam_core._pool cimport ARBITRARY, Pool, pool_ranked, pool_seated
from ipam_core._slot_memory cimport prefixes_size, slot_reserve
from ipam_core._slots cimport (
    IPV6_PREFIX,
    NONE,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    Cell,
    EniState,
    Group,
    Prefixes,
)
from ipam_core._walk cimport walk_reach, walk_seat


cdef inline uint64_t seats_taken(const Pool *pool) noexcept nogil:
    """Return the seats of a store's ENIs."""
    cdef uint64_t taken = 0
    cdef int rank
    for rank in range(pool.n_enis):
        taken |= bit(pool_ranked(pool, rank).seat)
    return taken


cdef inline void seat_eni(Pool *pool, EniState *eni) noexcept nogil:
    """Give an ENI that is to be added its seat."""
    cdef int reach = walk_reach(pool.reach, pool.n_enis + 1)
    cdef uint64_t taken = seats_taken(pool), left = taken
    cdef EniState *other
    if reach != pool.reach:
        pool.reach = reach
        taken = 0
        while left:
            other = pool_seated(pool, first_set(left))
            left &= left - 1
            other.seat = walk_seat(taken, reach, &pool.random)
            taken |= bit(other.seat)
    eni.seat = walk_seat(taken, reach, &pool.random)


cdef inline int seat_slot(Pool *pool, EniState *eni, int kind) noexcept nogil:
    """Return the slot for a new address or prefix, and reserve it.

    Returns -1 if there is no memory; nothing has changed then. Without a map it is the lowest
    that is empty. So it is for an IPv6 prefix: an agent has one, and the map has none.
    """
    cdef uint64_t taken = eni.groups[kind].attached, random = pool.random
    cdef int reach, slot
    if pool.placement != ARBITRARY or kind == IPV6_PREFIX:
        slot = first_set(~taken)
    else:
        taken = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
        reach = walk_reach(eni.reach, popcount(taken) + 1)
        if reach != eni.reach:
            return seats_renew(pool, eni, reach, kind)
        slot = walk_seat(taken, eni.reach, &random)
    if slot_reserve(eni, kind, slot) < 0:
        return -1
    pool.random = random
    return slot


cdef inline uint64_t seats_moved(uint64_t slots, const uint8_t *seat_of) noexcept nogil:
    """Return a word of slots after they moved."""
    cdef uint64_t moved = 0
    while slots:
        moved |= bit(seat_of[first_set(slots)])
        slots &= slots - 1
    return moved


cdef inline int seats_renew(Pool *pool, EniState *eni, int reach, int kind) noexcept nogil:
    """Give every secondary IP and /28 of an ENI a new slot; return one for a new one of a kind.

    Returns -1 if there is no memory; nothing has changed then.
    """
    cdef uint64_t left = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
    cdef uint64_t taken = 0, random = pool.random
    cdef uint8_t seat_of[64]
    cdef uint32_t *secondary_ips = NULL
    cdef uint32_t *numbers = NULL
    cdef Prefixes *prefixes = NULL
    cdef Group *group
    cdef bint has_ips = eni.secondary_ips != NULL or kind == SECONDARY_IP
    cdef bint has_prefixes = eni.prefixes != NULL or kind == PREFIX
    cdef int slot, level, n_seats, new
    while left:
        slot = first_set(left)
        left &= left - 1
        seat_of[slot] = walk_seat(taken, reach, &random)
        taken |= bit(seat_of[slot])
    new = walk_seat(taken, reach, &random)
    n_seats = last_set(taken | bit(new)) + 1
    if has_ips:
        secondary_ips = <uint32_t*> PyMem_RawMalloc(n_seats * sizeof(uint32_t))
    if eni.numbers != NULL:
        numbers = <uint32_t*> PyMem_RawMalloc(n_seats * sizeof(uint32_t))
    if has_prefixes:
        prefixes = <Prefixes*> PyMem_RawCalloc(1, prefixes_size(n_seats))
    if ((has_ips and secondary_ips == NULL) or (has_prefixes and prefixes == NULL)
            or (eni.numbers != NULL and numbers == NULL)):
        PyMem_RawFree(secondary_ips)
        PyMem_RawFree(numbers)
        PyMem_RawFree(prefixes)
        return -1
    left = eni.groups[SECONDARY_IP].attached
    while left:
        slot = first_set(left)
        left &= left - 1
        secondary_ips[seat_of[slot]] = eni.secondary_ips[slot]
        if numbers != NULL:
            numbers[seat_of[slot]] = eni.numbers[slot]
            if eni.numbers[slot] != NONE:
                pool.records.array[eni.numbers[slot]].slot = seat_of[slot]
    left = eni.groups[PREFIX].attached
    while left:
        slot = first_set(left)
        left &= left - 1
        prefixes.cells[seat_of[slot]] = eni.prefixes.cells[slot]
        seats_tell(pool, &eni.prefixes.cells[slot], seat_of[slot])
    if eni.prefixes != NULL:
        for level in range(PER_CELL + 1):
            prefixes.levels.level[level] = seats_moved(
                eni.prefixes.levels.level[level], seat_of)
        prefixes.levels.levels = eni.prefixes.levels.levels
    PyMem_RawFree(eni.secondary_ips)
    PyMem_RawFree(eni.numbers)
    PyMem_RawFree(eni.prefixes)
    eni.secondary_ips, eni.numbers, eni.prefixes = secondary_ips, numbers, prefixes
    eni.capacity[SECONDARY_IP] = n_seats if has_ips else 0
    eni.capacity[PREFIX] = n_seats if has_prefixes else 0
    for kind in range(IPV6_PREFIX):
        group = &eni.groups[kind]
        group.attached = seats_moved(group.attached, seat_of)
        group.has_free = seats_moved(group.has_free, seat_of)
        group.idle = seats_moved(group.idle, seat_of)
    pool.random = random
    eni.reach = reach
    return new


cdef inline void seats_tell(Pool *pool, const Cell *cell, int slot) noexcept nogil:
    """Set the slot that a /28 moves to in its records."""
    cdef uint32_t number
    cdef int offset
    if cell.block == NONE:
        return
    for offset in range(PER_CELL):
        number = pool.records.blocks[cell.block][offset]
        if number != NONE:
            pool.records.array[number].slot = slot
