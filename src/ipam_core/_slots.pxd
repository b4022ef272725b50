"""One ENI's slots: which of its addresses are free, held or cooling, as bits.

A slot holds a secondary IP (kind SECONDARY_IP), an IPv4 /28 (PREFIX) or an IPv6 /80
(IPV6_PREFIX). For each kind an ENI keeps three words with a bit for each slot:

    attached   the slot holds something of this kind
    has_free   an address of it can be assigned
    idle       no sandbox holds an address of it

A /28 is a `Cell`: three 16-bit words with a bit for each address. An address in
neither `free` nor `held` is cooling; `used` marks those that were ever held or cooling.
An ENI's /28s are in levels by their number of free addresses, so that two steps of
find-first-set give the fullest with room, and a third its lowest address:

    levels      ...0100      some /28 has 2 free addresses, none has 0 or 1
                      |
    level[2]    ...1010      the /28s (slots 1 and 3) with 2 free addresses
                     |
    cell.free   ...0011      the addresses of the /28 in slot 1

A /80 has 2^48 addresses, of which the first 65,536 are given, by a window of cells that
doubles when it is full: `has_free` has the cells with a free address, `reuse` those
with one that was used before. Nothing else is allocated for a free address: a secondary
IP is 4 bytes, and 4 more once one of its ENI's was used; a /28 is 16.

An address goes through a cycle: free, held (`slot_take`), cooling (`slot_cool`), free
(`slot_free`). These three keep every word and count; all other changes use them.
"""

from cpython.mem cimport PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._bits cimport BitSet, bit, bitset_lowest, bitset_put, first_set, popcount

cdef enum:
    SECONDARY_IP = 0          # kinds: a secondary IP,
    PREFIX = 1                # an IPv4 /28 prefix,
    IPV6_PREFIX = 2           # an IPv6 /80 prefix
    N_KINDS = 3
    N_SLOTS = 63              # of an ENI at most, all kinds together
    PER_CELL = 16
    N_CELLS = 4096            # of a window at most: what a BitSet holds
    FREE = 0                  # states of an address
    HELD = 1
    COOLING = 2

cdef enum: NONE = 0xFFFFFFFF    # no record, no block


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


cdef struct Prefixes:         # of an ENI; no more cells than its capacity have memory
    Levels levels
    Cell cells[64]


cdef struct Window:
    uint64_t high             # the prefix's 128 bits
    uint64_t low
    Cell *cells
    int32_t n_cells
    int32_t n_held
    int32_t n_cooling
    BitSet has_free
    BitSet reuse


cdef struct Group:            # an ENI's slots of one kind
    uint64_t attached
    uint64_t has_free
    uint64_t idle
    int32_t n_held
    int32_t n_cooling


cdef struct EniState:
    Group groups[N_KINDS]
    uint32_t *secondary_ips   # their addresses
    uint32_t *numbers         # of their records; NULL until one has a record
    Prefixes *prefixes
    Window *windows
    PyObject *eni_id          # owned
    PyObject *subnet_id       # owned
    int64_t created_ns
    int32_t device_number
    int32_t network_card
    int32_t route_table
    uint8_t seat              # its bit in Pool.has_free
    uint8_t reach             # of the map of its slots, under `arbitrary`
    uint8_t capacity[N_KINDS]
    uint8_t primary
    uint8_t trunk
    uint8_t efa
    uint8_t excluded


cdef inline int64_t slot_size(int kind) noexcept nogil:
    """Return how many addresses a slot of this kind has."""
    return 1 if kind == SECONDARY_IP else PER_CELL if kind == PREFIX else <int64_t> 1 << 48


cdef inline int32_t slot_room(int kind) noexcept nogil:
    """Return how many of them can be given: of a /80, as many as a window can hold."""
    return N_CELLS * PER_CELL if kind == IPV6_PREFIX else <int32_t> slot_size(kind)


cdef inline int eni_n_slots(const EniState *eni) noexcept nogil:
    """Return how many slots of an ENI are in use, of any kind."""
    cdef int kind, n = 0
    for kind in range(N_KINDS):
        n += popcount(eni.groups[kind].attached)
    return n


cdef inline int numbers_reserve(EniState *eni, int capacity) noexcept nogil:
    """Make room for the numbers of so many secondary IPs' records; -1 if there is no memory."""
    cdef void *grown = PyMem_RawRealloc(eni.numbers, capacity * sizeof(uint32_t))
    if grown == NULL:
        return -1
    if eni.numbers == NULL:
        memset(grown, 0xFF, capacity * sizeof(uint32_t))
    eni.numbers = <uint32_t*> grown
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


cdef inline void slot_base(const EniState *eni, int kind, int slot, uint64_t *high,
                           uint64_t *low) noexcept nogil:
    """Get the address of a secondary IP, the first of a prefix; IPv4 in the low 32 bits."""
    high[0] = eni.windows[slot].high if kind == IPV6_PREFIX else 0
    low[0] = (eni.secondary_ips[slot] if kind == SECONDARY_IP else
              eni.prefixes.cells[slot].base if kind == PREFIX else eni.windows[slot].low)


cdef inline int slot_find(const EniState *eni, int kind, uint64_t high,
                          uint64_t low) noexcept nogil:
    """Return the slot that holds this secondary IP or prefix, -1 if none does."""
    cdef uint64_t slots = eni.groups[kind].attached
    cdef int slot
    while slots:
        slot = first_set(slots)
        slots &= slots - 1
        if kind == IPV6_PREFIX:
            if eni.windows[slot].high == high and eni.windows[slot].low == low:
                return slot
        elif low == (eni.secondary_ips[slot] if kind == SECONDARY_IP
                     else eni.prefixes.cells[slot].base):
            return slot
    return -1


cdef inline int window_reach(Window *window, uint32_t offset) noexcept nogil:
    """Make a window reach an address; -1 if there is no memory."""
    cdef int32_t n_cells = max(4, window.n_cells), number
    cdef void *grown
    while n_cells <= <int32_t> (offset // PER_CELL):
        n_cells *= 2
    if n_cells <= window.n_cells:
        return 0
    grown = PyMem_RawRealloc(window.cells, n_cells * sizeof(Cell))
    if grown == NULL:
        return -1
    window.cells = <Cell*> grown
    for number in range(window.n_cells, n_cells):
        cell_init(&window.cells[number], number)
        bitset_put(&window.has_free, number, True)
    window.n_cells = n_cells
    return 0


cdef inline Cell *slot_cell(const EniState *eni, int kind, int slot,
                            uint32_t offset) noexcept nogil:
    """Return the cell of an address; NULL beyond a window, and for a secondary IP."""
    if kind == PREFIX:
        return &eni.prefixes.cells[slot]
    if kind == IPV6_PREFIX and <int32_t> (offset // PER_CELL) < eni.windows[slot].n_cells:
        return &eni.windows[slot].cells[offset // PER_CELL]
    return NULL


cdef inline uint32_t slot_extent(const EniState *eni, int kind, int slot) noexcept nogil:
    """Return how many offsets of a slot can have a record: 1, 16, or the window."""
    if kind == IPV6_PREFIX:
        return <uint32_t> eni.windows[slot].n_cells * PER_CELL
    return 1 if kind == SECONDARY_IP else PER_CELL


cdef inline int slot_count(const EniState *eni, int kind, int slot, int state) noexcept nogil:
    """Return how many addresses of a slot are HELD or COOLING."""
    cdef uint16_t bits
    if kind == IPV6_PREFIX:
        return eni.windows[slot].n_held if state == HELD else eni.windows[slot].n_cooling
    if kind == SECONDARY_IP:
        bits = not eni.groups[SECONDARY_IP].idle & bit(slot)
        if state == COOLING:
            bits = not bits and not eni.groups[SECONDARY_IP].has_free & bit(slot)
    else:
        bits = eni.prefixes.cells[slot].held
        if state == COOLING:
            bits = ~(bits | eni.prefixes.cells[slot].free)
    return popcount(bits)


cdef inline void window_refresh(Window *window, const Cell *cell) noexcept nogil:
    """Update a window's sets after one of its cells changed."""
    bitset_put(&window.has_free, cell.base, cell.free != 0)
    bitset_put(&window.reuse, cell.base, cell.free & cell.used != 0)


cdef inline void slot_take(EniState *eni, int kind, int slot, uint32_t offset,
                           uint16_t addresses) noexcept nogil:
    """Take addresses of the cell that has `offset` from free to held, all at once.

    `addresses` has a bit for each; of a secondary IP it is 1.
    """
    cdef Group *group = &eni.groups[kind]
    cdef int n = popcount(addresses) if addresses & (addresses - 1) else 1
    cdef Cell *cell
    cdef Window *window
    cdef bint has_free = False
    if kind != SECONDARY_IP:
        cell = slot_cell(eni, kind, slot, offset)
        cell.free &= ~addresses
        cell.held |= addresses
        cell.used |= addresses
        cell.n_free -= n
        if kind == PREFIX:
            level_move(&eni.prefixes.levels, slot, cell.n_free + n, cell.n_free)
            has_free = cell.n_free != 0
        else:
            window = &eni.windows[slot]
            window.n_held += n
            window_refresh(window, cell)
            has_free = window.has_free.top != 0 or window.n_cells < N_CELLS
    if not has_free:
        group.has_free &= ~bit(slot)
    group.idle &= ~bit(slot)
    group.n_held += n


cdef inline void slot_cool(EniState *eni, int kind, int slot, uint32_t offset,
                           uint16_t addresses) noexcept nogil:
    """Take addresses of a cell, as in `slot_take`, from held to cooling."""
    cdef Group *group = &eni.groups[kind]
    cdef int n = popcount(addresses) if addresses & (addresses - 1) else 1
    cdef Cell *cell
    cdef Window *window
    cdef bint is_idle = True
    if kind != SECONDARY_IP:
        cell = slot_cell(eni, kind, slot, offset)
        cell.held &= ~addresses
        is_idle = cell.held == 0
        if kind == IPV6_PREFIX:
            window = &eni.windows[slot]
            window.n_held -= n
            window.n_cooling += n
            is_idle = window.n_held == 0
    if is_idle:
        group.idle |= bit(slot)
    group.n_held -= n
    group.n_cooling += n


cdef inline void slot_free(EniState *eni, int kind, int slot, uint32_t offset,
                           uint16_t addresses) noexcept nogil:
    """Take addresses of a cell, as in `slot_take`, from cooling to free."""
    cdef Group *group = &eni.groups[kind]
    cdef int n = popcount(addresses) if addresses & (addresses - 1) else 1
    cdef Cell *cell
    if kind != SECONDARY_IP:
        cell = slot_cell(eni, kind, slot, offset)
        cell.free |= addresses
        cell.n_free += n
        if kind == PREFIX:
            level_move(&eni.prefixes.levels, slot, cell.n_free - n, cell.n_free)
        else:
            eni.windows[slot].n_cooling -= n
            window_refresh(&eni.windows[slot], cell)
    group.has_free |= bit(slot)
    group.n_cooling -= n


cdef inline int64_t slot_pick(EniState *eni, int kind, int slot, bint reuse) noexcept nogil:
    """Return the offset of the lowest free address of a slot that has one.

    With `reuse`, of those that were used before if there are any (pool-rules section 3).
    Returns -1 if a window must grow, or there are no numbers yet, and there is no memory.
    """
    cdef Cell *cell
    cdef Window *window
    cdef uint16_t free
    if kind == SECONDARY_IP:
        return 0 if eni.numbers != NULL else numbers_reserve(eni, eni.capacity[SECONDARY_IP])
    if kind == PREFIX:
        cell = &eni.prefixes.cells[slot]
    else:
        window = &eni.windows[slot]
        if not window.has_free.top and window_reach(window, window.n_cells * PER_CELL) < 0:
            return -1
        cell = &window.cells[bitset_lowest(
            &window.reuse if reuse and window.reuse.top else &window.has_free)]
    free = cell.free
    if reuse and free & cell.used:
        free &= cell.used
    return (cell.base * PER_CELL if kind == IPV6_PREFIX else 0) + first_set(free)
