"""The order in which Go walks a map, for placement `arbitrary`: maps as words of 64 seats.

The agent's pools are Go maps. Since Go 1.24 a map is a table of groups of 8 seats:

    reach 8     an entry takes the lowest empty seat; entries 1 to 8
    reach 16..  an entry takes the lowest empty seat of the group that its hash names, or
                of the next group with one; a table over 7/8 full doubles, and all move

A walk starts at a random seat and wraps around. So the first of n entries comes first with
probability (9 - n) / 8, each other with 1 / 8, and the agent packs more than a uniform
shuffle. A table never gets smaller. Source: internal/runtime/maps of Go 1.24 (putSlotSmall,
growToTable, Iter.Next); pool-rules section 9, "Chance".
"""

from libc.stdint cimport uint64_t

from ipam_core._bits cimport bit, first_set

cdef enum:
    GROUP = 8
    LONGEST_REACH = 64


cdef inline int random_below(uint64_t *random, int n) noexcept nogil:
    """Return a number from 0 to n - 1, n at most 64: the SplitMix64 generator."""
    cdef uint64_t mixed
    random[0] += <uint64_t> 0x9E3779B97F4A7C15
    mixed = random[0]
    mixed = (mixed ^ mixed >> 30) * <uint64_t> 0xBF58476D1CE4E5B9
    mixed = (mixed ^ mixed >> 27) * <uint64_t> 0x94D049BB133111EB
    return <int> ((mixed >> 32) * <uint64_t> n >> 32)


cdef inline int walk_reach(int reach, int n) noexcept nogil:
    """Return how many seats a table of `reach` seats has when it must hold n entries."""
    if reach == GROUP and n > GROUP:
        reach = 2 * GROUP
    while reach > GROUP and reach < LONGEST_REACH and n > reach - reach // GROUP:
        reach *= 2
    return reach


cdef inline int walk_seat(uint64_t taken, int reach, uint64_t *random) noexcept nogil:
    """Return the seat of a new entry; one must be empty."""
    cdef int n_groups = reach // GROUP
    cdef int group = 0 if n_groups == 1 else random_below(random, n_groups)
    cdef uint64_t empty
    while True:
        empty = ~taken >> GROUP * group & 0xFF
        if empty:
            return GROUP * group + first_set(empty)
        group = (group + 1) % n_groups


cdef inline int walk_first(uint64_t entries, int reach, uint64_t *random) noexcept nogil:
    """Return the first of some entries in a walk; there must be one."""
    cdef uint64_t behind = entries & ~(bit(random_below(random, reach)) - 1)
    return first_set(behind if behind else entries)


cdef inline int walk_list(uint64_t entries, int reach, uint64_t *random, int *seats) noexcept nogil:
    """List the seats of the entries in the order of one walk; return their number."""
    cdef uint64_t behind = entries & ~(bit(random_below(random, reach)) - 1)
    cdef uint64_t rest[2]
    cdef int n = 0, part
    rest[0], rest[1] = behind, entries & ~behind
    for part in range(2):
        while rest[part]:
            seats[n] = first_set(rest[part])
            rest[part] &= rest[part] - 1
            n += 1
    return n
