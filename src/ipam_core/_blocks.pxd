"""A subnet's /28 blocks: which addresses are free, and which blocks are free.

A subnet of /28 to /16 is 1 to 4096 blocks of 16 addresses. Each block has

    free       16 bits: the address is not held
    reserved   16 bits: the address is in a CIDR reservation
    n_free_in  how many bits of `free` are set
    flags      held as a /28; completely in a `prefix` reservation
    key        0 to 16: addresses that EC2 may pick by itself (free and not reserved);
               17: a free /28 of a `prefix` reservation

and all blocks are in one array in order of key, with the place where each key starts:

    order   | key 0 ......... | 1 | 2 .. | ... | 16 ....... | 17 .. |
    starts  ^0                ^1  ^2     ^3    ^16          ^17     ^18

An address changes its block's key by one: the block swaps places with the first or last
of its key, and that key's start moves by one. So a uniformly random free address is a walk
over 16 keys, the fullest block with room is at the start of the lowest key, and a free /28 is
in the last place of all, with any fragmentation. Three sets of blocks give the lowest block:
with room, free, free and in a `prefix` reservation.

`free`, `reserved` and `flags` are the facts; all else follows from them
(`blocks_check`). `blocks_set_free` makes every change and keeps them consistent, in constant
time: a /28 crosses 16 keys. AWS's five addresses are never free. Memory: 12 bytes a block, in
one piece that the caller owns.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from ipam_core._bits cimport BitSet, bitset_lowest, bitset_put, nth_set, popcount

cdef enum:
    PER_BLOCK = 16
    BYTES_PER_BLOCK = 12
    ALL_FREE = 0xFFFF
    WHOLE = 16             # keys
    RESERVED_WHOLE = 17
    N_KEYS = 18
    DELEGATED = 1          # flags of a block
    IN_PREFIX = 2
    FIRST_OF_AWS = 0x000F  # the first four addresses of the first block,
    LAST_OF_AWS = 0x8000   # and the last of the last
    FREE = 0               # the states of a block
    FRAGMENTED = 1
    FULL = 2
    AWS_RESERVED = 3
    PREFIX_ALLOCATED = 4
    PREFIX_RESERVED = 5
    EXPLICIT_RESERVED = 6
    N_STATES = 7
    RANDOM = 0             # placements
    LOWEST = 1
    DENSEST = 2


cdef struct Blocks:
    int n
    int n_free             # addresses that nobody holds
    int n_open             # of these, those that EC2 may pick by itself
    uint64_t random
    uint16_t *free
    uint16_t *reserved
    uint16_t *order
    uint16_t *place        # of each block in `order`
    uint8_t *n_free_in
    uint8_t *key
    uint8_t *flags
    int starts[N_KEYS + 1]
    BitSet room            # keys 1 to 16
    BitSet whole           # key 16
    BitSet whole_reserved  # key 17


cdef int blocks_check(const Blocks *blocks) except -1


cdef inline void blocks_bind(Blocks *blocks, char *memory) noexcept nogil:
    """Lay the arrays out in `memory`, of BYTES_PER_BLOCK for each block."""
    blocks.free = <uint16_t*> memory
    blocks.reserved = blocks.free + blocks.n
    blocks.order = blocks.reserved + blocks.n
    blocks.place = blocks.order + blocks.n
    blocks.n_free_in = <uint8_t*> (blocks.place + blocks.n)
    blocks.key = blocks.n_free_in + blocks.n
    blocks.flags = blocks.key + blocks.n


cdef inline void blocks_begin(Blocks *blocks) noexcept nogil:
    """Make every address free except AWS's; all except `n` and the bound arrays must be 0."""
    cdef int block, key
    # Every block starts in key 0, then moves to the key of its free addresses.
    for key in range(1, N_KEYS + 1):
        blocks.starts[key] = blocks.n
    for block in range(blocks.n):
        blocks.order[block] = blocks.place[block] = block
    for block in range(blocks.n):
        blocks_set_free(blocks, block, ALL_FREE & ~blocks_aws(blocks, block))


# --- derived from the facts --------------------------------------------------------------

cdef inline uint16_t blocks_aws(const Blocks *blocks, int block) noexcept nogil:
    """Return the addresses of a block that AWS keeps for itself."""
    return ((FIRST_OF_AWS if block == 0 else 0)
            | (LAST_OF_AWS if block == blocks.n - 1 else 0))


cdef inline uint16_t blocks_open(const Blocks *blocks, int block) noexcept nogil:
    """Return the addresses of a block that are free and in no reservation."""
    return blocks.free[block] & ~blocks.reserved[block]


cdef inline int blocks_key_of(const Blocks *blocks, int block) noexcept nogil:
    if blocks.flags[block] & IN_PREFIX:
        return RESERVED_WHOLE if blocks.free[block] == ALL_FREE else 0
    return popcount(blocks_open(blocks, block))


cdef inline int blocks_n_whole(const Blocks *blocks) noexcept nogil:
    """Return how many free /28s EC2 may pick."""
    return blocks.n - blocks.starts[WHOLE]


cdef inline int blocks_state(const Blocks *blocks, int block) noexcept nogil:
    if blocks.flags[block] & DELEGATED:
        return PREFIX_ALLOCATED
    if block == 0 or block == blocks.n - 1:
        return AWS_RESERVED
    if blocks.free[block] == 0:
        return FULL
    if blocks.free[block] != ALL_FREE:
        return FRAGMENTED
    if blocks.flags[block] & IN_PREFIX:
        return PREFIX_RESERVED
    return EXPLICIT_RESERVED if blocks.reserved[block] else FREE


# --- changes ------------------------------------------------------------------------------

cdef inline void blocks_set_free(Blocks *blocks, int block, uint16_t free) noexcept nogil:
    """Change the free addresses of a block, and all that follows from them and reservations."""
    cdef int n_free = popcount(free), key = blocks.key[block], wanted, place, other, neighbour
    blocks.free[block] = free
    blocks.n_free += n_free - blocks.n_free_in[block]
    blocks.n_free_in[block] = n_free
    wanted = blocks_key_of(blocks, block)
    if wanted == key:
        return
    blocks.n_open += (wanted if wanted <= WHOLE else 0) - (key if key <= WHOLE else 0)
    bitset_put(&blocks.room, block, 1 <= wanted <= WHOLE)
    bitset_put(&blocks.whole, block, wanted == WHOLE)
    bitset_put(&blocks.whole_reserved, block, wanted == RESERVED_WHOLE)
    blocks.key[block] = wanted
    place = blocks.place[block]
    while key != wanted:
        # Swap places with the last of this key, or the first, then move the border.
        if key < wanted:
            key += 1
            blocks.starts[key] -= 1
            other = blocks.starts[key]
        else:
            other = blocks.starts[key]
            blocks.starts[key] += 1
            key -= 1
        neighbour = blocks.order[other]
        blocks.order[place] = neighbour
        blocks.place[neighbour] = place
        blocks.order[other] = block
        place = other
    blocks.place[block] = place


cdef inline bint blocks_may_flip(const Blocks *blocks, int64_t offset, bint release) noexcept nogil:
    """Return whether a single address can be taken, or given back."""
    cdef int block = offset >> 4
    cdef uint16_t kept = blocks.free[block]
    if not release:
        return kept >> (offset & 15) & 1
    if blocks.flags[block] & DELEGATED:
        return False
    return not (kept | blocks_aws(blocks, block)) >> (offset & 15) & 1


cdef inline void blocks_flip(Blocks *blocks, int64_t offset) noexcept nogil:
    """Take an address that is free, or give back one that is held."""
    blocks_set_free(blocks, offset >> 4, blocks.free[offset >> 4] ^ 1 << (offset & 15))


cdef inline Py_ssize_t blocks_flip_all(
        Blocks *blocks, const int64_t *offsets, Py_ssize_t n, bint release) noexcept nogil:
    """Take addresses, or give them back; return -1, or the index of one that is not possible.

    In that case nothing has changed.
    """
    cdef Py_ssize_t at, undone
    # The masks are changed as far as they can be, and back if one cannot; all the rest
    # follows only from masks that hold every change.
    for at in range(n):
        if not blocks_may_flip(blocks, offsets[at], release):
            for undone in range(at):
                blocks.free[offsets[undone] >> 4] ^= 1 << (offsets[undone] & 15)
            return at
        blocks.free[offsets[at] >> 4] ^= 1 << (offsets[at] & 15)
    for at in range(n):
        blocks_set_free(blocks, offsets[at] >> 4, blocks.free[offsets[at] >> 4])
    return -1


cdef inline void blocks_delegate(Blocks *blocks, int block) noexcept nogil:
    """Take a free block as a /28."""
    blocks.flags[block] |= DELEGATED
    blocks_set_free(blocks, block, 0)


cdef inline void blocks_reclaim(Blocks *blocks, int block) noexcept nogil:
    """Give back a block that is held as a /28."""
    blocks.flags[block] &= ~DELEGATED
    blocks_set_free(blocks, block, ALL_FREE)


cdef inline void blocks_reserve(
        Blocks *blocks, int start, int size, bint reserve, bint as_prefix) noexcept nogil:
    """Reserve an aligned range of addresses, or end its reservation."""
    cdef int block
    cdef uint16_t mask = ((1 << min(size, <int> PER_BLOCK)) - 1) << (start & 15)
    for block in range(start >> 4, (start + size + PER_BLOCK - 1) >> 4):
        if reserve:
            blocks.reserved[block] |= mask
        else:
            blocks.reserved[block] &= ~mask
        blocks.flags[block] &= ~IN_PREFIX
        if reserve and as_prefix and mask == ALL_FREE:
            blocks.flags[block] |= IN_PREFIX
        blocks_set_free(blocks, block, blocks.free[block])


cdef inline int blocks_reorder(Blocks *blocks, const uint16_t *order, uint8_t *seen) noexcept nogil:
    """Put the blocks of each key in another order; `seen` has n zeros.

    Returns -1, or the first place whose block is not one of its key, or is repeated. Then
    nothing has changed.
    """
    cdef int at
    for at in range(blocks.n):
        if (order[at] >= blocks.n or seen[order[at]]
                or blocks.key[order[at]] != blocks.key[blocks.order[at]]):
            return at
        seen[order[at]] = True
    for at in range(blocks.n):
        blocks.order[at] = order[at]
        blocks.place[order[at]] = at
    return -1


# --- choices --------------------------------------------------------------------------------

cdef inline uint32_t blocks_next(Blocks *blocks) noexcept nogil:
    """Return 32 random bits (SplitMix64, Steele, Lea and Flood 2014)."""
    cdef uint64_t mixed
    blocks.random += <uint64_t> 0x9E3779B97F4A7C15
    mixed = blocks.random
    mixed = (mixed ^ mixed >> 30) * <uint64_t> 0xBF58476D1CE4E5B9
    mixed = (mixed ^ mixed >> 27) * <uint64_t> 0x94D049BB133111EB
    return <uint32_t> ((mixed ^ mixed >> 31) >> 32)


cdef inline int blocks_below(Blocks *blocks, uint32_t n) noexcept nogil:
    """Return a number below `n`, each equally likely (Lemire 2019); `n` is not 0."""
    cdef uint64_t product = <uint64_t> blocks_next(blocks) * n
    cdef uint32_t unfair
    if <uint32_t> product < n:
        unfair = (<uint32_t> 0 - n) % n
        while <uint32_t> product < unfair:
            product = <uint64_t> blocks_next(blocks) * n
    return <int> (product >> 32)


cdef inline int blocks_choose(Blocks *blocks, int placement) noexcept nogil:
    """Return the offset of the address that a placement takes; there must be one."""
    cdef int key = 1, block, at = 0, weight
    if placement == LOWEST:
        block = bitset_lowest(&blocks.room)
    elif placement == DENSEST:
        while blocks.starts[key] == blocks.starts[key + 1]:
            key += 1
        block = blocks.order[blocks.starts[key]]
    else:
        at = blocks_below(blocks, blocks.n_open)
        while True:
            weight = key * (blocks.starts[key + 1] - blocks.starts[key])
            if at < weight:
                break
            at -= weight
            key += 1
        block = blocks.order[blocks.starts[key] + at // key]
        at %= key
    return block << 4 | nth_set(blocks_open(blocks, block), at)


cdef inline int blocks_lowest_whole(const Blocks *blocks) noexcept nogil:
    """Return the lowest /28 that EC2 may pick, of a reservation first; -1: there is none."""
    if blocks.whole_reserved.top:
        return bitset_lowest(&blocks.whole_reserved)
    return bitset_lowest(&blocks.whole) if blocks.whole.top else -1


cdef inline int blocks_choose_whole(Blocks *blocks, int placement) noexcept nogil:
    """Return the /28 that a placement takes; -1: there is none."""
    cdef int first = blocks.starts[RESERVED_WHOLE]
    if placement != RANDOM or blocks_n_whole(blocks) == 0:
        return blocks_lowest_whole(blocks)
    if first == blocks.n:
        first = blocks.starts[WHOLE]
    return blocks.order[first + blocks_below(blocks, blocks.n - first)]
