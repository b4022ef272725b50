"""The check of a pool's invariants, from the records alone.

The records say which address is held, cooling, or was used; everything else (words of
slots, levels, windows, counts, ranks, table, list of the cooling) must follow from
them. Slow and simple on purpose: it checks what the fast code relies on.
"""

from libc.stdint cimport uint32_t, uint64_t

from ipam_core._bits cimport BitSet, bit, popcount
from ipam_core._pool cimport ARBITRARY, N_ENIS, Place, Pool, pool_ranked, pool_record_at
from ipam_core._records cimport (
    LATE,
    UNUSED,
    Record,
    Records,
    table_at,
    table_seek_record,
)
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    IPV6_PREFIX,
    NONE,
    N_CELLS,
    N_KINDS,
    N_SLOTS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    Cell,
    EniState,
    Group,
    slot_base,
    slot_cell,
    slot_count,
    slot_extent,
)

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()


cdef int check_invariants(const Pool *pool) except -1:
    """Check every invariant; `AssertionError` names the one that is broken."""
    cdef bint collecting = PyGC_Disable()    # a collection could run code that changes the pool
    try:
        _check_ranks(pool)
        states = _check_records(pool)
        _check_slots(pool, states)
        _check_table(&pool.records)
        _check_cooling(&pool.records)
        _check_unused(pool)
    finally:
        if collecting:
            PyGC_Enable()
    return 0


cdef inline int _holds(bint truth, str invariant) except -1:
    if not truth:
        raise AssertionError(invariant)
    return 0


cdef _check_ranks(const Pool *pool):
    """ENIs are ranked by device number, seated once, and `has_free` is right for each."""
    cdef int rank, kind
    cdef EniState *eni
    _holds(pool.n_enis == sum([pool.enis[number] != NULL for number in range(N_ENIS)]),
           "ENIs are counted")
    for rank in range(pool.n_enis):
        eni = pool_ranked(pool, rank)
        _holds(eni != NULL and pool.seats[eni.seat] == pool.order[rank], "an ENI has a seat")
        _holds(pool.placement == ARBITRARY or eni.seat == rank, "without a map a seat is a rank")
        _holds(rank == 0 or pool_ranked(pool, rank - 1).device_number <= eni.device_number,
               "ENIs are in order of device number")
    for kind in range(N_KINDS):
        has_free = sum([bit(pool_ranked(pool, rank).seat) for rank in range(pool.n_enis)
                        if pool_ranked(pool, rank).groups[kind].has_free
                        and not pool_ranked(pool, rank).excluded])
        _holds(pool.has_free[kind] == has_free, "a seat has a free address where its ENI has")


cdef dict _check_records(const Pool *pool):
    """Each record belongs to one attached address; return the states by place."""
    cdef uint32_t number
    cdef Record *record
    cdef EniState *eni
    states = {}
    for number in range(pool.records.n_records):
        record = &pool.records.array[number]
        if record.state == UNUSED:
            continue
        _holds(record.state in (FREE, HELD, COOLING), "a record has a state")
        eni = pool.enis[record.eni]
        _holds(eni != NULL and eni.groups[record.kind].attached & bit(record.slot) != 0
               and record.offset < slot_extent(eni, record.kind, record.slot),
               "a record's address is attached")
        _holds(pool_record_at(pool, Place(record.eni, record.kind, record.slot, record.offset))
               == number, "an address knows its record")
        states[record.eni, record.kind, record.slot, record.offset] = record.state
    return states


cdef _check_slots(const Pool *pool, dict states):
    """Words, levels, windows and counts follow from the states of the addresses."""
    cdef int rank, kind, slot
    cdef EniState *eni
    cdef Group *group
    bases = []
    for rank in range(pool.n_enis):
        eni = pool_ranked(pool, rank)
        n_attached = 0
        for kind in range(N_KINDS):
            group = &eni.groups[kind]
            n_attached += popcount(group.attached)
            n_held = n_cooling = 0
            _holds((group.has_free | group.idle) & ~group.attached == 0, "has_free, idle: attached")
            for slot in range(64):
                if not group.attached & bit(slot):
                    continue
                _holds(slot < eni.capacity[kind], "a slot is within its array")
                bases.append(_base(eni, kind, slot))
                found = _slot_states(pool, rank, kind, slot, states)
                held, cooling = found.count(HELD), found.count(COOLING)
                _holds(slot_count(eni, kind, slot, HELD) == held, "held ones of a slot")
                _holds(slot_count(eni, kind, slot, COOLING) == cooling, "cooling ones of a slot")
                _holds((group.idle & bit(slot) != 0) == (held == 0), "an idle slot has no pod")
                has_room = FREE in found or kind == IPV6_PREFIX and len(found) < N_CELLS * PER_CELL
                _holds((group.has_free & bit(slot) != 0) == has_room,
                       "a slot says whether it has a free address")
                n_held += held
                n_cooling += cooling
            _holds(group.n_held == n_held, "held ones of an ENI")
            _holds(group.n_cooling == n_cooling, "cooling ones of an ENI")
        _holds(n_attached <= N_SLOTS, "an ENI has no more slots than it may")
        _check_levels(eni)
    _holds(len(set(bases)) == len(bases), "nothing is attached twice")
    prefixes = {base for kind, _, base in bases if kind == PREFIX}
    _holds(not any([base & ~15 in prefixes for kind, _, base in bases if kind == SECONDARY_IP]),
           "no secondary IP is inside a prefix")


cdef tuple _base(const EniState *eni, int kind, int slot):
    cdef uint64_t high, low
    slot_base(eni, kind, slot, &high, &low)
    return kind, high, low


cdef list _slot_states(const Pool *pool, int rank, int kind, int slot, dict states):
    """Return the states of a slot's addresses; check its cells too."""
    cdef EniState *eni = pool_ranked(pool, rank)
    cdef uint32_t offset, extent = slot_extent(eni, kind, slot)
    cdef Cell *cell
    found = []
    used = []
    for offset in range(extent):
        state = states.get((pool.order[rank], kind, slot, offset))
        _holds(state is not None or pool_record_at(
            pool, Place(pool.order[rank], kind, slot, offset)) == NONE,
            "an address that was never used has no record")
        found.append(FREE if state is None else state)
        used.append(state is not None)
    if kind == SECONDARY_IP:
        return found
    for offset in range(0, extent, PER_CELL):
        cell = slot_cell(eni, kind, slot, offset)
        part = found[offset:offset + PER_CELL]
        _holds(cell.free == _word(part, FREE), "free addresses of a cell")
        _holds(cell.held == _word(part, HELD), "held addresses of a cell")
        _holds(cell.used == _word(used[offset:offset + PER_CELL], True), "used ones of a cell")
        _holds(cell.n_free == part.count(FREE), "free addresses of a cell, counted")
        if kind == IPV6_PREFIX:
            _holds(cell.base == offset // PER_CELL, "a cell of a window knows its number")
            _holds(_is_in(&eni.windows[slot].has_free, cell.base) == (cell.free != 0),
                   "cells with a free address")
            _holds(_is_in(&eni.windows[slot].reuse, cell.base) == (cell.free & cell.used != 0),
                   "cells with an address to use again")
    if kind == IPV6_PREFIX:
        _check_set(&eni.windows[slot].has_free, extent // PER_CELL)
        _check_set(&eni.windows[slot].reuse, extent // PER_CELL)
    return found


cdef int _word(list states, object state):
    """Return the word with a bit for each address in a state."""
    return sum([bit(position) for position in range(len(states)) if states[position] == state])


cdef bint _is_in(const BitSet *numbers, int number):
    return numbers.word[number >> 6] >> (number & 63) & 1


cdef _check_set(const BitSet *numbers, int size):
    cdef int number
    for number in range(64):
        _holds((numbers.top & bit(number) != 0) == (numbers.word[number] != 0), "top of a set")
    for number in range(size, N_CELLS):
        _holds(not _is_in(numbers, number), "a set has no cell beyond its window")


cdef _check_levels(const EniState *eni):
    """Each /28 is in the level of its free addresses; those without are in none."""
    cdef int slot, level
    if eni.prefixes == NULL:
        _holds(eni.groups[PREFIX].attached == 0, "an ENI with prefixes has levels")
        return
    expected = [0] * (PER_CELL + 1)
    for slot in range(64):
        if eni.groups[PREFIX].attached & bit(slot) and eni.prefixes.cells[slot].free:
            expected[popcount(eni.prefixes.cells[slot].free)] |= bit(slot)
    for level in range(PER_CELL + 1):
        _holds(eni.prefixes.levels.level[level] == expected[level], "prefixes of a level")
        _holds(eni.prefixes.levels.levels >> level & 1 == (expected[level] != 0), "levels in use")


cdef _check_table(const Records *records):
    """The table finds every held record, and nothing else is in it."""
    cdef uint32_t number, position, place
    n_held = n_in_table = 0
    for number in range(records.n_records):
        if records.array[number].state == HELD:
            n_held += 1
            _holds(table_at(records, table_seek_record(records, number)) == number,
                   "a held record is found")
    for position in range(records.mask + 1):
        n_in_table += records.table[position] != 0
        place = records.table[position] >> 32 & records.mask
        while records.table[position] and place != position:
            _holds(records.table[place] != 0, "no probe ends before the entry that it looks for")
            place = (place + 1) & records.mask
    _holds(n_in_table == n_held == records.n_in_table, "the table has the held records only")
    _holds(n_in_table * 4 <= records.mask + 1, "the table is at most a quarter full")


cdef _check_cooling(const Records *records):
    """All cooling records, and no other, are linked both ways in order of release, or late."""
    cdef uint32_t number = records.oldest, before = NONE, place
    n_linked = 0
    for place in range(records.n_late):
        number = records.late[place]
        _holds(records.array[number].state == COOLING, "only cooling records are late")
        _holds(records.array[number].after == LATE and records.array[number].before == place,
               "a late record knows its place")
        _holds(place == 0 or records.array[records.late[(place - 1) // 2]].released_ns
               <= records.array[number].released_ns, "late records are a heap")
    number = records.oldest
    while number != NONE:
        _holds(records.array[number].state == COOLING, "only cooling records are linked")
        _holds(records.array[number].before == before, "a cooling record knows who is before")
        _holds(before == NONE or records.array[before].released_ns
               <= records.array[number].released_ns, "cooling records are in order")
        n_linked += 1
        before, number = number, records.array[number].after
    _holds(records.newest == before, "the newest is the last")
    n_cooling = sum([records.array[k].state == COOLING for k in range(records.n_records)])
    _holds(n_linked + records.n_late == n_cooling, "every cooling record is linked or late")


cdef _check_unused(const Pool *pool):
    """Every record and block is either in use or on its list."""
    cdef const Records *records = &pool.records
    cdef uint32_t number = records.unused, offset
    cdef int rank, kind, slot
    cdef EniState *eni
    cdef Cell *cell
    unused = 0
    while number != NONE:
        _holds(records.array[number].state == UNUSED, "only unused records are listed")
        unused += 1
        number = records.array[number].after
    _holds(unused == records.n_unused == sum(
        [records.array[k].state == UNUSED for k in range(records.n_records)]),
        "every unused record is listed")
    blocks = []
    number = records.unused_block
    while number != NONE:
        blocks.append(number)
        number = records.blocks[number][0]
    for rank in range(pool.n_enis):
        eni = pool_ranked(pool, rank)
        for kind in range(PREFIX, N_KINDS):
            for slot in range(64):
                if not eni.groups[kind].attached & bit(slot):
                    continue
                for offset in range(0, slot_extent(eni, kind, slot), PER_CELL):
                    cell = slot_cell(eni, kind, slot, offset)
                    if cell.block != NONE:
                        blocks.append(cell.block)
                    _holds(cell.used == 0 or cell.block != NONE, "a used cell has a block")
    _holds(sorted(blocks) == list(range(records.n_blocks)), "every block is used or listed, once")
