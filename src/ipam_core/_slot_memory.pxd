"""The memory of an ENI's slots: reserved, attached to, emptied and freed.

An ENI has an array for each kind, which reaches the highest slot that was ever used.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from ipam_core._bits cimport bit
from ipam_core._slots cimport (
    IPV6_PREFIX,
    NONE,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    Cell,
    EniState,
    Levels,
    Prefixes,
    Window,
    cell_init,
    level_move,
    numbers_reserve,
)


cdef inline size_t prefixes_size(int capacity) noexcept nogil:
    """Return the bytes of so many prefixes."""
    return sizeof(Prefixes) - (64 - capacity) * sizeof(Cell)


cdef inline int slot_reserve(EniState *eni, int kind, int slot) noexcept nogil:
    """Make the array of a kind reach a slot; -1 if there is no memory."""
    cdef int capacity = slot + 1    # little more than is used: most are full
    cdef void *grown
    if slot < eni.capacity[kind]:
        return 0
    if kind == SECONDARY_IP:
        capacity = (slot + 2) // 4 * 4 + 2    # malloc gives 8 bytes less than a multiple of 16
        grown = PyMem_RawRealloc(eni.secondary_ips, capacity * sizeof(uint32_t))
        if grown == NULL:
            return -1
        eni.secondary_ips = <uint32_t*> grown
        if eni.numbers != NULL and numbers_reserve(eni, capacity) < 0:
            return -1
    elif kind == PREFIX:
        capacity = slot // 2 * 2 + 2
        grown = PyMem_RawRealloc(eni.prefixes, prefixes_size(capacity))
        if grown == NULL:
            return -1
        if eni.prefixes == NULL:
            memset(grown, 0, sizeof(Levels))
        eni.prefixes = <Prefixes*> grown
    else:
        grown = PyMem_RawRealloc(eni.windows, capacity * sizeof(Window))
        if grown == NULL:
            return -1
        eni.windows = <Window*> grown
    eni.capacity[kind] = capacity
    return 0


cdef inline void slot_attach(EniState *eni, int kind, int slot, uint64_t high,
                             uint64_t low) noexcept nogil:
    """Put an address or prefix into an unused slot that `slot_reserve` made room for."""
    if kind == SECONDARY_IP:
        eni.secondary_ips[slot] = <uint32_t> low
        if eni.numbers != NULL:
            eni.numbers[slot] = NONE
    elif kind == PREFIX:
        cell_init(&eni.prefixes.cells[slot], <uint32_t> low)
        level_move(&eni.prefixes.levels, slot, 0, PER_CELL)
    else:
        memset(&eni.windows[slot], 0, sizeof(Window))
        eni.windows[slot].high = high
        eni.windows[slot].low = low
    eni.groups[kind].attached |= bit(slot)
    eni.groups[kind].has_free |= bit(slot)
    eni.groups[kind].idle |= bit(slot)


cdef inline void slot_detach(EniState *eni, int kind, int slot) noexcept nogil:
    """Empty a slot whose addresses are all free."""
    if kind == PREFIX:
        level_move(&eni.prefixes.levels, slot, PER_CELL, 0)
    elif kind == IPV6_PREFIX:
        PyMem_RawFree(eni.windows[slot].cells)
    eni.groups[kind].attached &= ~bit(slot)
    eni.groups[kind].has_free &= ~bit(slot)
    eni.groups[kind].idle &= ~bit(slot)


cdef inline void eni_free(EniState *eni) noexcept nogil:
    """Free an ENI's memory, except the two objects."""
    cdef int slot
    for slot in range(eni.capacity[IPV6_PREFIX]):
        if eni.groups[IPV6_PREFIX].attached & bit(slot):
            PyMem_RawFree(eni.windows[slot].cells)
    PyMem_RawFree(eni.secondary_ips)
    PyMem_RawFree(eni.numbers)
    PyMem_RawFree(eni.prefixes)
    PyMem_RawFree(eni.windows)
    PyMem_RawFree(eni)
