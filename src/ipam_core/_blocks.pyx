"""The check that all derived data of a subnet's blocks follows from the facts."""

from ipam_core._bits cimport BitSet, bit


cdef int blocks_check(const Blocks *blocks) except -1:
    """Check the invariants of `_blocks.pxd`; `AssertionError` names the one that is broken.

    Slow and simple on purpose: it checks what the fast code relies on.
    """
    cdef int block, key, n_free = 0, n_open = 0, place
    for block in range(blocks.n):
        free, key, place = blocks.free[block], blocks.key[block], blocks.place[block]
        aws = (15 if block == 0 else 0) | (1 << 15 if block == blocks.n - 1 else 0)
        n_free += free.bit_count()
        n_open += key if key <= WHOLE else 0
        _holds(not free & aws, f"no address of AWS is free in block {block}")
        _holds(not (blocks.flags[block] & DELEGATED) or free == 0,
               f"block {block} is held as a /28 and has no free address")
        _holds(not (blocks.flags[block] & IN_PREFIX) or blocks.reserved[block] == ALL_FREE,
               f"block {block} of a prefix reservation is completely reserved")
        _holds(blocks.n_free_in[block] == free.bit_count(), f"n_free of block {block}")
        if blocks.flags[block] & IN_PREFIX:
            _holds(key == (RESERVED_WHOLE if free == ALL_FREE else 0), f"key of block {block}")
        else:
            _holds(key == (free & ~blocks.reserved[block]).bit_count(), f"key of block {block}")
        _holds(blocks.order[place] == block, f"block {block} knows its place")
        _holds(blocks.starts[key] <= place < blocks.starts[key + 1],
               f"block {block} of key {key} stands at {place}")
    _holds(blocks.n_free == n_free, "free addresses are counted")
    _holds(blocks.n_open == n_open, "addresses that EC2 may pick are counted")
    _check_set(blocks, &blocks.room, range(1, WHOLE + 1))
    _check_set(blocks, &blocks.whole, (WHOLE,))
    _check_set(blocks, &blocks.whole_reserved, (RESERVED_WHOLE,))
    return 0


def _holds(truth, what):
    if not truth:
        raise AssertionError(what)


cdef _check_set(const Blocks *blocks, const BitSet *found, keys):
    """A set holds the blocks of some keys, and its summary the words that hold any."""
    cdef int word
    numbers = sum(1 << block for block in range(blocks.n) if blocks.key[block] in keys)
    for word in range(64):
        _holds(found.word[word] == numbers >> 64 * word & 0xFFFFFFFFFFFFFFFF
               and bool(found.top & bit(word)) == bool(found.word[word]),
               f"word {word} of the set of keys {keys}")
