"""The pool of one store: its ENIs, their slots, and the records of their addresses.

All of it is C without Python: nothing here raises or needs the GIL, unless its docstring says
so. `DataStore` is the Python interface of a `Pool`; other compiled code may call these
functions on a store's pool while it holds the store (`DataStore.hold`).

    has_free[kind]     ...0101       the ENIs, by seat, with an address to give
    seats[seat]        ENI numbers: by device number; under `arbitrary` as in a Go map (_walk)
    order[rank]        ENI numbers, lowest device number first
    enis[number]       an ENI's state; a record names its ENI by this number

Under `arbitrary` an ENI's slots are also seats of a Go map: those of secondary IPs and of /28s
are one map. `_assign.pxd` has the choice of the next address and its assignment.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove

from ipam_core._bits cimport bit, put
from ipam_core._records cimport (
    Record,
    Records,
    block_drop,
    block_new,
    cooling_add,
    cooling_oldest,
    cooling_remove,
    record_drop,
    record_forget,
    record_new,
    table_insert,
    table_remove,
    table_seek_record,
)
from ipam_core._slot_memory cimport slot_detach
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    IPV6_PREFIX,
    NONE,
    N_KINDS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    Cell,
    EniState,
    slot_base,
    slot_cell,
    slot_cool,
    slot_extent,
    slot_find,
    slot_free,
    slot_take,
)

cdef enum:
    N_ENIS = 64
    PACK = 0                  # placements
    FIRST = 1
    SPREAD = 2
    ARBITRARY = 3
    DONE = 0                  # what assigning and releasing answer
    ALREADY = 1
    EXHAUSTED = -1
    UNKNOWN = -2
    NO_MEMORY = -3


cdef struct Pool:
    EniState *enis[N_ENIS]
    uint64_t has_free[N_KINDS]
    uint8_t seats[N_ENIS]
    uint8_t order[N_ENIS]
    int n_enis
    int reach                 # of the map of ENIs, under `arbitrary`
    int kinds                 # a bit for each kind that is assigned from and counted
    int placement
    int64_t cooldown_ns
    uint64_t random
    Records records


cdef struct Place:            # where an address is
    int eni
    int kind
    int slot
    uint32_t offset


cdef inline EniState *pool_ranked(const Pool *pool, int rank) noexcept nogil:
    """Return the ENI of a rank: by device number, then in order of adding."""
    return pool.enis[pool.order[rank]]


cdef inline bint pool_counts(const Pool *pool, int kind) noexcept nogil:
    """Return whether the mode assigns from this kind and counts it."""
    return pool.kinds >> kind & 1


# --- ENIs ---------------------------------------------------------------------------------


cdef inline void pool_refresh(Pool *pool, EniState *eni, int kind) noexcept nogil:
    """Set in `has_free` whether an ENI has an address of a kind to give."""
    pool.has_free[kind] = put(
        pool.has_free[kind], eni.seat, eni.groups[kind].has_free != 0 and not eni.excluded)


cdef inline EniState *pool_seated(const Pool *pool, int seat) noexcept nogil:
    """Return the ENI of a seat."""
    return pool.enis[pool.seats[seat]]


cdef inline void pool_settle(Pool *pool) noexcept nogil:
    """Update the seats of ENIs after a change; without a Go map they are the ranks."""
    cdef int rank, kind
    cdef EniState *eni
    for kind in range(N_KINDS):
        pool.has_free[kind] = 0
    for rank in range(pool.n_enis):
        eni = pool_ranked(pool, rank)
        if pool.placement != ARBITRARY:
            eni.seat = rank
        pool.seats[eni.seat] = pool.order[rank]
        for kind in range(N_KINDS):
            pool_refresh(pool, eni, kind)


cdef inline int pool_add(Pool *pool, EniState *eni) noexcept nogil:
    """Add an ENI after those with its device number; return its number.

    There must be room. Under `arbitrary` it has a seat (`seat_eni`).
    """
    cdef int number = 0, rank = 0
    while pool.enis[number] != NULL:
        number += 1
    while rank < pool.n_enis and pool_ranked(pool, rank).device_number <= eni.device_number:
        rank += 1
    memmove(&pool.order[rank + 1], &pool.order[rank], pool.n_enis - rank)
    pool.order[rank] = number
    pool.enis[number] = eni
    pool.n_enis += 1
    pool_settle(pool)
    return number


cdef inline void pool_remove(Pool *pool, int number) noexcept nogil:
    """Remove an ENI whose slots are empty; the caller owns its state again."""
    cdef int rank = 0
    while pool.order[rank] != number:
        rank += 1
    pool.n_enis -= 1
    memmove(&pool.order[rank], &pool.order[rank + 1], pool.n_enis - rank)
    pool.enis[number] = NULL
    pool_settle(pool)


# --- addresses and their records ------------------------------------------------------


cdef inline bint pool_locate(const Pool *pool, int family, uint64_t high, uint64_t low,
                             Place *place) noexcept nogil:
    """Find where an address is attached. `family` is SECONDARY_IP for IPv4, else IPV6_PREFIX.

    An IPv6 offset beyond 32 bits is returned as NONE.
    """
    cdef int rank
    cdef uint64_t offset = low & ((<uint64_t> 1 << 48) - 1)
    cdef EniState *eni
    for rank in range(pool.n_enis):
        eni = pool_ranked(pool, rank)
        place.eni = pool.order[rank]
        if family == IPV6_PREFIX:
            place.kind, place.slot = IPV6_PREFIX, slot_find(eni, IPV6_PREFIX, high, low - offset)
            place.offset = <uint32_t> min(offset, <uint64_t> NONE)
        else:
            place.kind, place.slot = SECONDARY_IP, slot_find(eni, SECONDARY_IP, 0, low)
            place.offset = 0
            if place.slot < 0:
                place.kind, place.slot = PREFIX, slot_find(eni, PREFIX, 0, low & ~<uint64_t> 15)
                place.offset = low & 15
        if place.slot >= 0:
            return True
    return False


cdef inline uint32_t pool_record_at(const Pool *pool, Place place) noexcept nogil:
    """Return the record of an address, NONE if it has none."""
    cdef uint32_t block
    cdef const uint32_t *numbers
    if place.kind == SECONDARY_IP:
        numbers = pool.enis[place.eni].numbers
        return NONE if numbers == NULL else numbers[place.slot]
    block = pool_block_at(pool, place)
    return NONE if block == NONE else pool.records.blocks[block][place.offset % PER_CELL]


cdef inline uint32_t pool_block_at(const Pool *pool, Place place) noexcept nogil:
    """Return the block of the cell that an address is in; NONE if it has none."""
    cdef Cell *cell = slot_cell(pool.enis[place.eni], place.kind, place.slot, place.offset)
    return NONE if cell == NULL else cell.block


cdef inline uint32_t pool_record_for(Pool *pool, Place place) noexcept nogil:
    """Return the record of an address, a new one if it has none. Needs room for it."""
    cdef EniState *eni = pool.enis[place.eni]
    cdef uint32_t number = pool_record_at(pool, place)
    cdef Record *record
    cdef Cell *cell
    if number != NONE:
        return number
    number = record_new(&pool.records)
    if place.kind == SECONDARY_IP:
        eni.numbers[place.slot] = number
    else:
        cell = slot_cell(eni, place.kind, place.slot, place.offset)
        if cell.block == NONE:
            cell.block = block_new(&pool.records)
        pool.records.blocks[cell.block][place.offset % PER_CELL] = number
    record = &pool.records.array[number]
    record.eni, record.kind, record.slot = place.eni, place.kind, place.slot
    record.offset = place.offset
    record.state = FREE
    return number


cdef inline void pool_address(const Pool *pool, uint32_t number, uint64_t *high,
                              uint64_t *low) noexcept nogil:
    """Get the address of a record: IPv4 in the low 32 bits."""
    cdef Record *record = &pool.records.array[number]
    cdef EniState *eni = pool.enis[record.eni]
    slot_base(eni, record.kind, record.slot, high, low)
    low[0] += record.offset


cdef inline void pool_take(Pool *pool, Place place, uint16_t addresses) noexcept nogil:
    """Take addresses of the cell of a place from free to held; the caller does the rest."""
    cdef EniState *eni = pool.enis[place.eni]
    slot_take(eni, place.kind, place.slot, place.offset, addresses)
    if not eni.groups[place.kind].has_free:
        pool.has_free[place.kind] &= ~bit(eni.seat)


cdef inline void pool_sign(Pool *pool, uint32_t number, uint32_t position, uint32_t tag,
                           const uint64_t *digest, int64_t now_ns) noexcept nogil:
    """Record the holder of an address that was taken, and insert it into the table."""
    cdef Record *record = &pool.records.array[number]
    record.state, record.assignment = HELD, NULL
    record.digest[0], record.digest[1] = digest[0], digest[1]
    record.assigned_ns, record.released_ns = now_ns, 0
    table_insert(&pool.records, position, tag, number)


cdef inline uint16_t record_bit(const Record *record) noexcept nogil:
    """Return the bit of an address in its cell; of a secondary IP it is 1."""
    return <uint16_t> bit(record.offset % PER_CELL)


cdef inline void pool_free(Pool *pool, uint32_t number) noexcept nogil:
    """Make a cooling address free before its time."""
    cdef Record *record = &pool.records.array[number]
    cdef EniState *eni = pool.enis[record.eni]
    slot_free(eni, record.kind, record.slot, record.offset, record_bit(record))
    record.state = FREE
    if not eni.excluded:
        pool.has_free[record.kind] |= bit(eni.seat)


cdef inline void pool_end_cooling(Pool *pool, uint32_t number) noexcept nogil:
    """Take an address from cooling to free."""
    cooling_remove(&pool.records, number)
    pool_free(pool, number)


cdef inline void pool_drop(Pool *pool, uint32_t number, int64_t released_ns) noexcept nogil:
    """Take an address, already removed from the table, from held to free: without a cooldown."""
    cdef Record *record = &pool.records.array[number]
    slot_cool(pool.enis[record.eni], record.kind, record.slot, record.offset, record_bit(record))
    record.released_ns = released_ns
    pool_free(pool, number)


cdef inline void pool_cool(Pool *pool, uint32_t number, int64_t released_ns) noexcept nogil:
    """Take an address, already removed from the table, from held to cooling.

    To free, if the pool has no cooldown, with any clock of its callers.
    """
    cdef Record *record = &pool.records.array[number]
    if pool.cooldown_ns == 0:
        pool_drop(pool, number, released_ns)
        return
    slot_cool(pool.enis[record.eni], record.kind, record.slot, record.offset, record_bit(record))
    record.state = COOLING
    record.released_ns = released_ns
    cooling_add(&pool.records, number)


cdef inline uint32_t pool_hold(Pool *pool, Place place, uint32_t position, uint32_t tag,
                               const uint64_t *digest, int64_t now_ns) noexcept nogil:
    """Let a digest, whose position in the table and tag these are, hold a free address.

    Returns its record. Needs room for it.
    """
    cdef uint32_t number = pool_record_for(pool, place)
    pool_take(pool, place, <uint16_t> bit(place.offset % PER_CELL))
    pool_sign(pool, number, position, tag, digest, now_ns)
    return number


cdef inline void pool_forget(Pool *pool, uint32_t number) noexcept:
    """Give back the record of an address in any state. Needs the GIL."""
    cdef Record *record = &pool.records.array[number]
    if record.state == HELD:
        record_forget(record)
        table_remove(&pool.records, table_seek_record(&pool.records, number))
        pool_drop(pool, number, 0)
    if record.state == COOLING:
        pool_end_cooling(pool, number)
    record_drop(&pool.records, number)


cdef inline void pool_expire(Pool *pool, int64_t now_ns) noexcept nogil:
    """Free the addresses whose cooldown has passed: amortised constant."""
    cdef uint32_t number = cooling_oldest(&pool.records)
    while (number != NONE
           and now_ns - pool.records.array[number].released_ns > pool.cooldown_ns):
        pool_end_cooling(pool, number)
        number = cooling_oldest(&pool.records)


cdef inline void pool_empty_slot(Pool *pool, EniState *eni, int number, int kind,
                                 int slot) noexcept:
    """Empty a slot with its records, those held or cooling too. Needs the GIL."""
    cdef Place place = Place(number, kind, slot, 0)
    cdef Cell *cell
    cdef uint32_t offset, record, extent = slot_extent(eni, kind, slot)
    for offset in range(extent):
        place.offset = offset
        record = pool_record_at(pool, place)
        if record != NONE:
            pool_forget(pool, record)
    for offset in range((extent + PER_CELL - 1) // PER_CELL):
        cell = slot_cell(eni, kind, slot, offset * PER_CELL)
        if cell != NULL and cell.block != NONE:
            block_drop(&pool.records, cell.block)
    slot_detach(eni, kind, slot)
    pool_refresh(pool, eni, kind)
