"""Seats in Go's maps (`_walk`): of a store's ENIs, and of an ENI's secondary IPs and /28s.

Only under placement `arbitrary`. An ENI's seat is its bit in `Pool.has_free`; the seat of
an address or prefix is its slot. A map that grows gives every entry a new seat.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from ipam_core._bits cimport bit, first_set, last_set, popcount
from ipam_core._pool cimport ARBITRARY, Pool, pool_ranked, pool_seated
from ipam_core._slots cimport (
    IPV6_PREFIX,
    NONE,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    Cell,
    EniState,
    Group,
    SecondaryIp,
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
    """Return the slot for a new address or prefix; -1 if there is no memory.

    Without a map it is the lowest that is empty.
    """
    cdef uint64_t taken = eni.groups[kind].attached
    cdef int reach
    if pool.placement != ARBITRARY:
        return first_set(~taken)
    if kind != IPV6_PREFIX:
        taken = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
        reach = walk_reach(eni.reach, popcount(taken) + 1)
        if reach != eni.reach:
            if seats_renew(pool, eni, reach) < 0:
                return -1
            taken = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
    return walk_seat(taken, eni.reach, &pool.random)


cdef inline uint64_t seats_moved(uint64_t slots, const uint8_t *seat_of) noexcept nogil:
    """Return a word of slots after they moved."""
    cdef uint64_t moved = 0
    while slots:
        moved |= bit(seat_of[first_set(slots)])
        slots &= slots - 1
    return moved


cdef inline int seats_renew(Pool *pool, EniState *eni, int reach) noexcept nogil:
    """Give every secondary IP and /28 of an ENI a new slot; -1 if there is no memory."""
    cdef uint64_t left = eni.groups[SECONDARY_IP].attached | eni.groups[PREFIX].attached
    cdef uint64_t taken = 0, random = pool.random
    cdef uint8_t seat_of[64]
    cdef SecondaryIp *secondary_ips = NULL
    cdef Cell *cells = NULL
    cdef Group *group
    cdef int kind, slot, level, n_seats
    while left:
        slot = first_set(left)
        left &= left - 1
        seat_of[slot] = walk_seat(taken, reach, &random)
        taken |= bit(seat_of[slot])
    n_seats = last_set(taken) + 1
    if eni.capacity[SECONDARY_IP]:
        secondary_ips = <SecondaryIp*> PyMem_RawMalloc(n_seats * sizeof(SecondaryIp))
    if eni.capacity[PREFIX]:
        cells = <Cell*> PyMem_RawMalloc(n_seats * sizeof(Cell))
    if ((eni.capacity[SECONDARY_IP] and secondary_ips == NULL)
            or (eni.capacity[PREFIX] and cells == NULL)):
        PyMem_RawFree(secondary_ips)
        PyMem_RawFree(cells)
        return -1
    left = eni.groups[SECONDARY_IP].attached
    while left:
        slot = first_set(left)
        left &= left - 1
        secondary_ips[seat_of[slot]] = eni.secondary_ips[slot]
        if eni.secondary_ips[slot].record != NONE:
            pool.records.array[eni.secondary_ips[slot].record].slot = seat_of[slot]
    left = eni.groups[PREFIX].attached
    while left:
        slot = first_set(left)
        left &= left - 1
        cells[seat_of[slot]] = eni.cells[slot]
        seats_tell(pool, &eni.cells[slot], seat_of[slot])
    PyMem_RawFree(eni.secondary_ips)
    PyMem_RawFree(eni.cells)
    eni.secondary_ips, eni.cells = secondary_ips, cells
    for kind in range(IPV6_PREFIX):
        eni.capacity[kind] = n_seats if eni.capacity[kind] else 0
        group = &eni.groups[kind]
        group.attached = seats_moved(group.attached, seat_of)
        group.has_free = seats_moved(group.has_free, seat_of)
        group.idle = seats_moved(group.idle, seat_of)
    if eni.levels != NULL:
        for level in range(PER_CELL + 1):
            eni.levels.level[level] = seats_moved(eni.levels.level[level], seat_of)
    pool.random = random
    eni.reach = reach
    return 0


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
