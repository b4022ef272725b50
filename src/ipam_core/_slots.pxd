"""One ENI's slots: which of its addresses are free, held or cooling, as bits.

A slot holds a secondary IP (kind LONE), an IPv4 /28 (PREFIX) or an IPv6 /80 (WIDE).
For each kind an ENI keeps three words with a bit for each slot:

    attached   the slot holds something of this kind
    open       an address of it can be assigned
    idle       no sandbox holds an address of it

A /28 is a `Cell`: three 16-bit words with a bit for each address. An address in
neither `free` nor `held` is cooling; `used` marks those that were ever held or cooling.
An ENI's /28s hang in levels by their number of free addresses, so that the fullest
with room is two steps of find-first-set away, and its lowest address a third:

    levels      ...0100      some /28 has 2 free addresses, none has 0 or 1
                      |
    level[2]    ...1010      the /28s (slots 1 and 3) with 2 free addresses
                     |
    cell.free   ...0011      the addresses of the /28 in slot 1

A /80 has 2^48 addresses, of which the first 65,536 are given, by a window of cells that
doubles when it is full: `open` has the cells with a free address, `reuse` those with
one that was used before. Nothing else is allocated for a free address; a secondary IP
is 8 bytes and a /28 is 16.

An address goes round: free, held (`slot_take`), cooling (`slot_cool`), free
(`slot_open`). These three keep every word and count; all other changes are made of them.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._bits cimport BitSet, bit, bitset_lowest, bitset_put, first_set, popcount

cdef enum:
    LONE = 0                  # kinds: a secondary IP,
    PREFIX = 1                # an IPv4 /28 prefix,
    WIDE = 2                  # an IPv6 /80 prefix
    N_KINDS = 3
    N_SLOTS = 63              # of an ENI at most, all kinds together
    PER_CELL = 16
    N_CELLS = 4096            # of a window at most: what a BitSet holds
    FREE = 0                  # states of an address
    HELD = 1
    COOLING = 2

cdef enum: NONE = 0xFFFFFFFF    # no record, no block


cdef struct Lone:
    uint32_t address
    uint32_t record


cdef struct Cell:
    uint32_t base             # of a /28; of a window's cell: its number
    uint32_t block            # of record numbers, once an address was used
    uint16_t free
    uint16_t held
    uint16_t used
    uint16_t n_free


cdef struct Levels:
    uint64_t level[PER_CELL + 1]
    uint32_t levels


cdef struct Wide:
    uint64_t high             # the prefix's 128 bits
    uint64_t low
    Cell *cells
    int32_t n_cells
    int32_t n_held
    int32_t n_cooling
    BitSet open
    BitSet reuse


cdef struct Group:            # an ENI's slots of one kind
    uint64_t attached
    uint64_t open
    uint64_t idle
    int32_t n_held
    int32_t n_cooling


cdef struct EniState:
    Group groups[N_KINDS]
    Lone *lones
    Cell *cells
    Levels *levels            # of `cells`
    Wide *wides
    PyObject *eni_id          # owned
    PyObject *subnet_id       # owned
    int64_t created_ns
    int32_t device_number
    int32_t network_card
    int32_t route_table
    uint8_t seat              # its bit in Pool.open_seats
    uint8_t reach             # of the map of its slots, under `arbitrary`
    uint8_t capacity[N_KINDS]
    uint8_t primary
    uint8_t trunk
    uint8_t efa
    uint8_t excluded


cdef inline int64_t slot_size(int kind) noexcept nogil:
    """Return how many addresses a slot of this kind stands for."""
    return 1 if kind == LONE else PER_CELL if kind == PREFIX else <int64_t> 1 << 48


cdef inline int32_t slot_room(int kind) noexcept nogil:
    """Return how many of them can be given: of a /80, as many as a window can hold."""
    return N_CELLS * PER_CELL if kind == WIDE else <int32_t> slot_size(kind)


cdef inline void eni_free(EniState *eni) noexcept nogil:
    """Give an ENI's memory back, but for the two objects."""
    cdef int slot
    for slot in range(eni.capacity[WIDE]):
        if eni.groups[WIDE].attached & bit(slot):
            PyMem_RawFree(eni.wides[slot].cells)
    PyMem_RawFree(eni.lones)
    PyMem_RawFree(eni.cells)
    PyMem_RawFree(eni.levels)
    PyMem_RawFree(eni.wides)
    PyMem_RawFree(eni)


cdef inline int eni_n_slots(const EniState *eni) noexcept nogil:
    """Return how many slots of an ENI hold something, of whatever kind."""
    cdef int kind, n = 0
    for kind in range(N_KINDS):
        n += popcount(eni.groups[kind].attached)
    return n


cdef inline int slot_reserve(EniState *eni, int kind, int slot) noexcept nogil:
    """Make the array of a kind reach a slot; -1 where there is no memory."""
    cdef int capacity = slot // 2 * 2 + 2    # little more than is used: most are full
    cdef void *grown
    if slot < eni.capacity[kind]:
        return 0
    if kind == LONE:
        grown = PyMem_RawRealloc(eni.lones, capacity * sizeof(Lone))
        if grown != NULL:
            eni.lones = <Lone*> grown
    elif kind == PREFIX:
        if eni.levels == NULL:
            eni.levels = <Levels*> PyMem_RawCalloc(1, sizeof(Levels))
            if eni.levels == NULL:
                return -1
        grown = PyMem_RawRealloc(eni.cells, capacity * sizeof(Cell))
        if grown != NULL:
            eni.cells = <Cell*> grown
    else:
        capacity = slot + 1
        grown = PyMem_RawRealloc(eni.wides, capacity * sizeof(Wide))
        if grown != NULL:
            eni.wides = <Wide*> grown
    if grown == NULL:
        return -1
    eni.capacity[kind] = capacity
    return 0


cdef inline void cell_init(Cell *cell, uint32_t base) noexcept nogil:
    cell.base = base
    cell.block = NONE
    cell.free = 0xFFFF
    cell.held = cell.used = 0
    cell.n_free = PER_CELL


cdef inline void level_move(Levels *levels, int slot, int before, int after) noexcept nogil:
    """Move a /28 between the levels of `before` and `after` free addresses.

    Level 0, of those without any, is kept empty.
    """
    if before:
        levels.level[before] &= ~bit(slot)
        if not levels.level[before]:
            levels.levels &= ~<uint32_t> bit(before)
    if after:
        levels.level[after] |= bit(slot)
        levels.levels |= <uint32_t> bit(after)


cdef inline void slot_attach(EniState *eni, int kind, int slot, uint64_t high,
                             uint64_t low) noexcept nogil:
    """Put an address or prefix into an unused slot that `slot_reserve` made room for."""
    if kind == LONE:
        eni.lones[slot].address = <uint32_t> low
        eni.lones[slot].record = NONE
    elif kind == PREFIX:
        cell_init(&eni.cells[slot], <uint32_t> low)
        level_move(eni.levels, slot, 0, PER_CELL)
    else:
        memset(&eni.wides[slot], 0, sizeof(Wide))
        eni.wides[slot].high = high
        eni.wides[slot].low = low
    eni.groups[kind].attached |= bit(slot)
    eni.groups[kind].open |= bit(slot)
    eni.groups[kind].idle |= bit(slot)


cdef inline void slot_detach(EniState *eni, int kind, int slot) noexcept nogil:
    """Empty a slot of which every address is free."""
    if kind == PREFIX:
        level_move(eni.levels, slot, PER_CELL, 0)
    elif kind == WIDE:
        PyMem_RawFree(eni.wides[slot].cells)
    eni.groups[kind].attached &= ~bit(slot)
    eni.groups[kind].open &= ~bit(slot)
    eni.groups[kind].idle &= ~bit(slot)


cdef inline void slot_base(const EniState *eni, int kind, int slot, uint64_t *high,
                           uint64_t *low) noexcept nogil:
    """Tell the address of a secondary IP, the first of a prefix; IPv4 in the low 32 bits."""
    high[0] = eni.wides[slot].high if kind == WIDE else 0
    low[0] = (eni.lones[slot].address if kind == LONE else
              eni.cells[slot].base if kind == PREFIX else eni.wides[slot].low)


cdef inline int slot_find(const EniState *eni, int kind, uint64_t high,
                          uint64_t low) noexcept nogil:
    """Return the slot that holds this secondary IP or prefix, -1 if none does."""
    cdef uint64_t slots = eni.groups[kind].attached
    cdef int slot
    while slots:
        slot = first_set(slots)
        slots &= slots - 1
        if kind == WIDE:
            if eni.wides[slot].high == high and eni.wides[slot].low == low:
                return slot
        elif (eni.lones[slot].address if kind == LONE else eni.cells[slot].base) == low:
            return slot
    return -1


cdef inline int window_reach(Wide *wide, uint32_t offset) noexcept nogil:
    """Make a window reach an address; -1 where there is no memory."""
    cdef int32_t n_cells = max(4, wide.n_cells), number
    cdef void *grown
    while n_cells <= <int32_t> (offset // PER_CELL):
        n_cells *= 2
    if n_cells <= wide.n_cells:
        return 0
    grown = PyMem_RawRealloc(wide.cells, n_cells * sizeof(Cell))
    if grown == NULL:
        return -1
    wide.cells = <Cell*> grown
    for number in range(wide.n_cells, n_cells):
        cell_init(&wide.cells[number], number)
        bitset_put(&wide.open, number, True)
    wide.n_cells = n_cells
    return 0


cdef inline Cell *slot_cell(const EniState *eni, int kind, int slot,
                            uint32_t offset) noexcept nogil:
    """Return the cell of an address; NULL beyond a window, and for a secondary IP."""
    if kind == PREFIX:
        return &eni.cells[slot]
    if kind == WIDE and <int32_t> (offset // PER_CELL) < eni.wides[slot].n_cells:
        return &eni.wides[slot].cells[offset // PER_CELL]
    return NULL


cdef inline uint32_t slot_extent(const EniState *eni, int kind, int slot) noexcept nogil:
    """Return how many offsets of a slot can have a record: 1, 16, or the window."""
    if kind == WIDE:
        return <uint32_t> eni.wides[slot].n_cells * PER_CELL
    return 1 if kind == LONE else PER_CELL


cdef inline int slot_count(const EniState *eni, int kind, int slot, int state) noexcept nogil:
    """Return how many addresses of a slot are HELD or COOLING."""
    cdef uint16_t bits
    if kind == WIDE:
        return eni.wides[slot].n_held if state == HELD else eni.wides[slot].n_cooling
    if kind == LONE:
        bits = not eni.groups[LONE].idle & bit(slot)
        if state == COOLING:
            bits = not bits and not eni.groups[LONE].open & bit(slot)
    else:
        bits = eni.cells[slot].held
        if state == COOLING:
            bits = ~(bits | eni.cells[slot].free)
    return popcount(bits)


cdef inline void window_refresh(Wide *wide, const Cell *cell) noexcept nogil:
    """Say in a window's sets what a cell of it has, after that changed."""
    bitset_put(&wide.open, cell.base, cell.free != 0)
    bitset_put(&wide.reuse, cell.base, cell.free & cell.used != 0)


cdef inline void slot_take(EniState *eni, int kind, int slot, uint32_t offset,
                           uint16_t addresses) noexcept nogil:
    """Take addresses of the cell that has `offset` from free to held, all at once.

    `addresses` has a bit for each; of a secondary IP it is 1.
    """
    cdef Group *group = &eni.groups[kind]
    cdef int n = popcount(addresses) if addresses & (addresses - 1) else 1
    cdef Cell *cell
    cdef Wide *wide
    cdef bint is_open = False
    if kind != LONE:
        cell = slot_cell(eni, kind, slot, offset)
        cell.free &= ~addresses
        cell.held |= addresses
        cell.used |= addresses
        cell.n_free -= n
        if kind == PREFIX:
            level_move(eni.levels, slot, cell.n_free + n, cell.n_free)
            is_open = cell.n_free != 0
        else:
            wide = &eni.wides[slot]
            wide.n_held += n
            window_refresh(wide, cell)
            is_open = wide.open.top != 0 or wide.n_cells < N_CELLS
    if not is_open:
        group.open &= ~bit(slot)
    group.idle &= ~bit(slot)
    group.n_held += n


cdef inline void slot_cool(EniState *eni, int kind, int slot, uint32_t offset) noexcept nogil:
    """Take an address from held to cooling."""
    cdef Group *group = &eni.groups[kind]
    cdef Cell *cell
    cdef Wide *wide
    cdef bint is_idle = True
    if kind != LONE:
        cell = slot_cell(eni, kind, slot, offset)
        cell.held &= ~<uint16_t> bit(offset % PER_CELL)
        is_idle = cell.held == 0
        if kind == WIDE:
            wide = &eni.wides[slot]
            wide.n_held -= 1
            wide.n_cooling += 1
            is_idle = wide.n_held == 0
    if is_idle:
        group.idle |= bit(slot)
    group.n_held -= 1
    group.n_cooling += 1


cdef inline void slot_open(EniState *eni, int kind, int slot, uint32_t offset) noexcept nogil:
    """Take an address from cooling to free."""
    cdef Group *group = &eni.groups[kind]
    cdef Cell *cell
    if kind != LONE:
        cell = slot_cell(eni, kind, slot, offset)
        cell.free |= <uint16_t> bit(offset % PER_CELL)
        cell.n_free += 1
        if kind == PREFIX:
            level_move(eni.levels, slot, cell.n_free - 1, cell.n_free)
        else:
            eni.wides[slot].n_cooling -= 1
            window_refresh(&eni.wides[slot], cell)
    group.open |= bit(slot)
    group.n_cooling -= 1


cdef inline int64_t slot_pick(EniState *eni, int kind, int slot, bint reuse) noexcept nogil:
    """Return the offset of the lowest free address of an open slot.

    With `reuse`, of those that were used before if there are any (pool-rules section 3).
    Returns -1 where a window must grow and there is no memory.
    """
    cdef Cell *cell
    cdef Wide *wide
    cdef uint16_t free
    if kind == LONE:
        return 0
    if kind == PREFIX:
        cell = &eni.cells[slot]
    else:
        wide = &eni.wides[slot]
        if not wide.open.top and window_reach(wide, wide.n_cells * PER_CELL) < 0:
            return -1
        cell = &wide.cells[bitset_lowest(
            &wide.reuse if reuse and wide.reuse.top else &wide.open)]
    free = cell.free
    if reuse and free & cell.used:
        free &= cell.used
    return (cell.base * PER_CELL if kind == WIDE else 0) + first_set(free)
