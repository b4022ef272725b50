"""The addresses of one subnet: which are free, and which /28 blocks are wholly free.

Layout
------
A subnet of /28 to /16 is 1 to 4096 blocks of 16 addresses. Each block has

    free       16 bits: nobody holds the address
    reserved   16 bits: the address lies in a CIDR reservation
    n_free     how many bits of `free` are set
    flags      held whole as a /28; wholly in a `prefix` reservation
    key        0 to 16: addresses that EC2 may pick by itself (free and not reserved);
               17: a whole free /28 of a `prefix` reservation

and all blocks lie in one array in order of key, with the place where each key starts:

    order   | key 0 ......... | 1 | 2 .. | ... | 16 ....... | 17 .. |
    starts  ^0                ^1  ^2     ^3    ^16          ^17     ^18

An address changes its block's key by one: the block swaps places with the first or last
of its key, and that key's start moves by one. So a uniformly random free address is a
walk over 16 keys, the fullest block with room is at the start of the lowest key, and a
whole /28 is in the last place of all, whatever the fragmentation. Three bitmaps with a
summary word each (64 x 64 blocks) answer which is the lowest: with room, free, free and
in a reservation.

Invariants (`_check` proves them): `n_free`, `key`, `order`, `starts`, the bitmaps and
every count follow from `free`, `reserved` and `flags`; AWS's addresses are never free.

Cost: taking, giving back or finding an address or a /28 is constant (a /28 crosses 16
keys). `n_free` and `n_free_prefixes` are kept; `fragmentation`, `histogram` and
`block_states` are one pass over blocks, never over addresses. Memory: 12 bytes a block.

The meaning of reservations and AWS's five addresses:
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-cidr-reservation.html
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html

Threads: every call holds the GIL from end to end.
"""

cimport cython
from cpython.buffer cimport PyObject_CheckBuffer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ipam_core._bits cimport bit, first_set
from ipam_core._ipv4 cimport c_address_text, c_parse_address, c_parse_prefix, c_prefix_text

import ipaddress

from ipam_core.errors import (
    AddressInUseError,
    NoFreePrefixError,
    ReservationError,
    SubnetExhaustedError,
    UnknownAddressError,
)

cdef enum:
    PER_BLOCK = 16
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

PLACEMENTS = ("random", "lowest", "densest")
RESERVATION_TYPES = ("prefix", "explicit")
BLOCK_STATES = (
    "free", "fragmented", "full", "aws-reserved",
    "prefix-allocated", "prefix-reserved", "explicit-reserved",
)


cdef struct BlockSet:         # of up to 4096 blocks
    uint64_t summary          # which words are not 0
    uint64_t words[64]


cdef inline void c_put(BlockSet *blocks, int block, bint inside) noexcept nogil:
    cdef int word = block >> 6
    if inside:
        blocks.words[word] |= bit(block & 63)
        blocks.summary |= bit(word)
    else:
        blocks.words[word] &= ~bit(block & 63)
        if blocks.words[word] == 0:
            blocks.summary &= ~bit(word)


cdef inline int c_lowest(const BlockSet *blocks) noexcept nogil:
    """Return the lowest block of a set, -1 if there is none."""
    cdef int word
    if blocks.summary == 0:
        return -1
    word = first_set(blocks.summary)
    return word << 6 | first_set(blocks.words[word])


cdef inline int c_count(uint32_t mask) noexcept nogil:
    """Return how many of 16 bits are set; without the processor's help, which few builds use."""
    mask -= mask >> 1 & 0x5555
    mask = (mask & 0x3333) + (mask >> 2 & 0x3333)
    mask = mask + (mask >> 4) & 0x0F0F
    return mask + (mask >> 8) & 31


cdef int c_placement(name) except -1:
    if name not in PLACEMENTS:
        raise ValueError(f"placement {name!r}: one of {', '.join(PLACEMENTS)}")
    return PLACEMENTS.index(name)


@cython.final
cdef class Fragmentation:
    """How many /28 blocks of a subnet are in which state.

    `longest_free_run` is in blocks; `n_free` in addresses that EC2 may pick by itself.
    """

    cdef readonly int free, fragmented, full, aws_reserved
    cdef readonly int prefix_allocated, prefix_reserved, explicit_reserved
    cdef readonly int longest_free_run, n_free

    @property
    def n_blocks(self):
        """Blocks in all."""
        return (self.free + self.fragmented + self.full + self.aws_reserved
                + self.prefix_allocated + self.prefix_reserved + self.explicit_reserved)

    @property
    def score(self):
        """ceil(100 * (fragmented + full) / (free + fragmented + full)); None without any."""
        cdef int broken = self.fragmented + self.full, counted = self.free + broken
        return (100 * broken + counted - 1) // counted if counted else None

    @property
    def band(self):
        """What the score means in a word.

        Healthy under 25, low under 50, medium under 75, high under 100; at 100 critical,
        or exhausted when EC2 finds no single address either; "unscored" without a score.
        """
        score = self.score
        if score is None:
            return "unscored"
        if score == 100:
            return "critical" if self.n_free else "exhausted"
        return ("healthy", "low", "medium", "high")[score // 25]

    def __repr__(self):
        return (f"Fragmentation(free={self.free}, fragmented={self.fragmented}, "
                f"full={self.full}, score={self.score}, band={self.band!r})")


@cython.final
cdef class Subnet:
    """The addresses of one subnet, taken and given back as EC2 does.

    `cidr` is /28 to /16. `placement` says which address is taken where none is named:
    `random` is what EC2 does, uniform over those it may pick, in a sequence that `seed`
    decides; `lowest`; `densest`, in the block that has the fewest to pick, so that /28s
    stay whole. A /28 is random with `random`, else the lowest. `reservations` are
    (cidr, type) pairs, the type `prefix` or `explicit`.

    AWS keeps the first four addresses and the last. What lies in a reservation is picked
    by name only, but for a /28, which comes out of a `prefix` reservation first.

    Raises:
        ValueError: not an IPv4 network of /16 to /28; an unknown placement.
        ReservationError: a reservation is outside the subnet or overlaps another.
    """

    cdef readonly str cidr, placement
    cdef list _reservations
    cdef uint32_t _base
    cdef int _n_blocks
    cdef int _choice           # the placement, as a number
    cdef int _n_free           # addresses that nobody holds
    cdef int _n_open           # of these, those that EC2 may pick by itself
    cdef uint64_t _random
    cdef bytearray _memory     # what the pointers below point into
    cdef uint16_t *_free
    cdef uint16_t *_reserved
    cdef uint16_t *_order
    cdef uint16_t *_place      # of each block in `order`
    cdef uint8_t *_n_free_in
    cdef uint8_t *_key
    cdef uint8_t *_flags
    cdef int _starts[N_KEYS + 1]
    cdef BlockSet _room        # keys 1 to 16
    cdef BlockSet _whole       # key 16
    cdef BlockSet _whole_reserved  # key 17

    def __init__(self, cidr, *, placement="random", seed=0, reservations=()):
        cdef int block, key
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise ValueError(f"{cidr!r} is not an IPv4 subnet: {error}") from None
        if not 16 <= network.prefixlen <= 28:
            raise ValueError(f"{cidr!r}: AWS allows subnets of /16 to /28")
        self._choice = c_placement(placement)
        self.placement = placement
        self.cidr = str(network)
        self._random = seed & 0xFFFFFFFFFFFFFFFF
        self._reservations = []
        self._base = int(network.network_address)
        self._n_blocks = network.num_addresses // PER_BLOCK
        self._n_free = self._n_open = 0
        self._c_bind(bytearray(12 * self._n_blocks))
        memset(&self._room, 0, sizeof(BlockSet))
        memset(&self._whole, 0, sizeof(BlockSet))
        memset(&self._whole_reserved, 0, sizeof(BlockSet))
        # Every block starts in key 0, then goes where its free addresses put it.
        self._starts[0] = 0
        for key in range(1, N_KEYS + 1):
            self._starts[key] = self._n_blocks
        for block in range(self._n_blocks):
            self._order[block] = self._place[block] = block
        for block in range(self._n_blocks):
            self._c_set_free(block, ALL_FREE & ~self._c_aws(block))
        for reserved, kind in reservations:
            self.add_reservation(reserved, kind)

    @classmethod
    def from_addresses(cls, cidr, addresses, *, prefixes=(), placement="random", seed=0,
                       reservations=()):
        """Return a subnet in which `addresses` and the /28s `prefixes` are taken.

        `addresses` is an array of uint32, shape (n,), or an iterable of texts. Cost: one
        pass; about 10 ns an address of an array, 60 ns of a text.

        Raises: as the constructor, `take_given_addresses` and `take_given_prefix` do.
        """
        subnet = cls(cidr, placement=placement, seed=seed, reservations=reservations)
        subnet.take_given_addresses(addresses)
        for prefix in prefixes:
            subnet.take_given_prefix(prefix)
        return subnet

    def copy(self, *, placement=None, seed=None):
        """Return a subnet of its own in the same state, random sequence included.

        `placement` and `seed` are for it to go on with; None: as they are here.
        """
        cdef Subnet other = Subnet.__new__(Subnet)
        other.cidr = self.cidr
        other.placement = self.placement if placement is None else placement
        other._choice = c_placement(other.placement)
        other._reservations = list(self._reservations)
        other._base = self._base
        other._n_blocks = self._n_blocks
        other._n_free = self._n_free
        other._n_open = self._n_open
        other._random = self._random if seed is None else seed & 0xFFFFFFFFFFFFFFFF
        other._c_bind(bytearray(self._memory))
        memcpy(other._starts, self._starts, sizeof(self._starts))
        other._room = self._room
        other._whole = self._whole
        other._whole_reserved = self._whole_reserved
        return other

    def __repr__(self):
        return (f"Subnet({self.cidr!r}, placement={self.placement!r}: {self._n_free} free, "
                f"{self.n_free_prefixes} /28s)")

    # --- counts and views ---------------------------------------------------------------

    @property
    def n_blocks(self):
        """/28 blocks in all."""
        return self._n_blocks

    @property
    def n_free(self):
        """Addresses that nobody holds, those in reservations too."""
        return self._n_free

    @property
    def n_free_unreserved(self):
        """Addresses that EC2 may pick by itself: free and in no reservation."""
        return self._n_open

    @property
    def n_free_prefixes(self):
        """Whole free /28s that EC2 may pick: of `prefix` reservations, and unreserved."""
        return self._n_blocks - self._starts[WHOLE]

    @property
    def reservations(self):
        """The CIDR reservations as (cidr, type) pairs, in order of making."""
        return tuple(self._reservations)

    def find_free_prefix(self):
        """Return the lowest /28 that EC2 may pick, of a reservation first; None: there is none.

        Changes nothing. Constant cost, whatever the fragmentation.
        """
        cdef int block = self._c_find_whole()
        return None if block < 0 else c_prefix_text(self._base + block * PER_BLOCK)

    def is_free(self, address):
        """Return whether nobody holds an address of this subnet; AWS's five are not free.

        Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
        """
        cdef int offset = self._c_offset(address, c_parse_address(address))
        return bool(self._free[offset >> 4] >> (offset & 15) & 1)

    def offsets(self, addresses):
        """Return where in the subnet addresses are, 0 the first: int64, shape (n,).

        `addresses` is an array of uint32, shape (n,), or an iterable of texts. An offset's
        block is `offset >> 4`. Cost: about 50 ns a text.

        Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
        """
        import numpy

        cdef const uint32_t[::1] numbers = None
        cdef int64_t[::1] found
        cdef Py_ssize_t at
        if isinstance(addresses, str):
            raise TypeError(f"{addresses!r}: give the addresses in a list")
        if PyObject_CheckBuffer(addresses):
            numbers = addresses
            offsets = numpy.empty(numbers.shape[0], numpy.int64)
            found = offsets
            for at in range(numbers.shape[0]):
                found[at] = self._c_offset(None, numbers[at])
            return offsets
        texts = list(addresses)
        offsets = numpy.empty(len(texts), numpy.int64)
        found = offsets
        for at, text in enumerate(texts):
            found[at] = self._c_offset(text, c_parse_address(text))
        return offsets

    def free_masks(self):
        """Return a live, read-only view: a bit for each free address, uint16, shape (n_blocks,).

        Bit 0 is the block's lowest address.
        """
        return self._view("uint16", 0)

    def free_counts(self):
        """Return a live, read-only view: free addresses of each block, uint8, (n_blocks,)."""
        return self._view("uint8", 8 * self._n_blocks)

    def block_states(self):
        """Return each block's state as its place in `BLOCK_STATES`: uint8, shape (n_blocks,).

        A wholly free block is `free`, or `prefix-reserved`, or `explicit-reserved` when a
        reservation keeps EC2 from picking it as a /28; `fragmented` has addresses of both
        kinds, in a reservation or not; the first and last are `aws-reserved`: they are never
        whole. One pass over blocks.
        """
        import numpy

        states = numpy.empty(self._n_blocks, numpy.uint8)
        cdef uint8_t[::1] view = states
        cdef int block
        for block in range(self._n_blocks):
            view[block] = self._c_state(block)
        return states

    def histogram(self):
        """Return how many blocks have 0, 1, ... 16 addresses in use: int64, shape (17,).

        AWS's own are not in use; a /28 held whole is 16. One pass over blocks.
        """
        import numpy

        counts = numpy.zeros(PER_BLOCK + 1, numpy.int64)
        cdef int64_t[::1] view = counts
        cdef int block
        for block in range(self._n_blocks):
            view[PER_BLOCK - self._n_free_in[block] - c_count(self._c_aws(block))] += 1
        return counts

    def fragmentation(self):
        """Return the number of blocks in each state, and what they amount to. One pass."""
        cdef Fragmentation found = Fragmentation.__new__(Fragmentation)
        cdef int counts[N_STATES]
        cdef int block, state, run = 0
        memset(counts, 0, sizeof(counts))
        for block in range(self._n_blocks):
            state = self._c_state(block)
            counts[state] += 1
            run = run + 1 if state == FREE else 0
            found.longest_free_run = max(found.longest_free_run, run)
        found.free = counts[FREE]
        found.fragmented = counts[FRAGMENTED]
        found.full = counts[FULL]
        found.aws_reserved = counts[AWS_RESERVED]
        found.prefix_allocated = counts[PREFIX_ALLOCATED]
        found.prefix_reserved = counts[PREFIX_RESERVED]
        found.explicit_reserved = counts[EXPLICIT_RESERVED]
        found.n_free = self._n_open
        return found

    # --- addresses ------------------------------------------------------------------------

    def take_address(self):
        """Take the address that the placement chooses, and return it.

        Constant cost. Raises `SubnetExhaustedError`: none is free outside reservations.
        """
        cdef int offset
        if self._n_open == 0:
            raise SubnetExhaustedError(self.cidr, asked=1, free=0)
        offset = self._c_choose()
        self._c_set_free(offset >> 4, self._free[offset >> 4] & ~(1 << (offset & 15)))
        return c_address_text(self._base + offset)

    def take_addresses(self, int n):
        """Take `n` addresses, all or none, and return them.

        Raises `SubnetExhaustedError`: fewer are free outside reservations.
        """
        cdef int _
        if n < 0:
            raise ValueError(f"{n} addresses: at least 0")
        if n > self._n_open:
            raise SubnetExhaustedError(self.cidr, asked=n, free=self._n_open)
        return [self.take_address() for _ in range(n)]

    def take_given(self, address):
        """Take one address by name, in a reservation or not.

        Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
            AddressInUseError: somebody holds it, or AWS does.
        """
        self._flip_one(address, False)

    def take_given_addresses(self, addresses):
        """Take addresses by name, all or none: an array of uint32 (n,), or texts.

        Raises: as `take_given` does, of the first that cannot be taken.
        """
        self._flip(addresses, False)

    def release_address(self, address):
        """Give one address back.

        Raises:
            ValueError: not an IPv4 address.
            UnknownAddressError: outside the subnet, or not held singly.
        """
        self._flip_one(address, True)

    def release_addresses(self, addresses):
        """Give addresses back, all or none: an array of uint32 (n,), or texts.

        Raises: as `release_address` does, of the first that cannot be given back.
        """
        self._flip(addresses, True)

    # --- /28s -------------------------------------------------------------------------------

    def take_prefix(self):
        """Take a whole free /28, of a `prefix` reservation first, and return it.

        Constant cost. Raises `NoFreePrefixError`: there is none.
        """
        cdef int block, first
        if self._starts[WHOLE] == self._n_blocks:
            raise NoFreePrefixError(self.cidr, asked=1, free_prefixes=0, free=self._n_open)
        if self._choice == RANDOM:
            first = self._starts[RESERVED_WHOLE]
            if first < self._n_blocks:
                block = self._order[first + self._c_below(self._n_blocks - first)]
            else:
                first = self._starts[WHOLE]
                block = self._order[first + self._c_below(self._n_blocks - first)]
        else:
            block = self._c_find_whole()
        self._c_delegate(block)
        return c_prefix_text(self._base + block * PER_BLOCK)

    def take_prefixes(self, int n):
        """Take `n` whole free /28s, all or none, and return them.

        Raises `NoFreePrefixError`: there are fewer.
        """
        cdef int _
        if n < 0:
            raise ValueError(f"{n} prefixes: at least 0")
        if n > self._n_blocks - self._starts[WHOLE]:
            raise NoFreePrefixError(self.cidr, asked=n, free_prefixes=self.n_free_prefixes,
                                    free=self._n_open)
        return [self.take_prefix() for _ in range(n)]

    def take_given_prefix(self, prefix):
        """Take one /28 by name, in a reservation or not.

        Raises:
            ValueError: not an IPv4 /28. UnknownAddressError: outside the subnet.
            AddressInUseError: an address of it is held, or is AWS's.
        """
        cdef int block = self._c_offset(prefix, c_parse_prefix(prefix)) >> 4
        if self._free[block] != ALL_FREE:
            raise AddressInUseError(prefix, PER_BLOCK - self._n_free_in[block])
        self._c_delegate(block)

    def release_prefix(self, prefix):
        """Give one /28 back.

        Raises:
            ValueError: not an IPv4 /28.
            UnknownAddressError: outside the subnet, or not held as a /28.
        """
        cdef int block = self._c_offset(prefix, c_parse_prefix(prefix)) >> 4
        if not self._flags[block] & DELEGATED:
            raise UnknownAddressError(prefix, f"the list of /28s taken in {self.cidr}")
        self._flags[block] &= ~DELEGATED
        self._c_set_free(block, ALL_FREE)

    # --- reservations -------------------------------------------------------------------------

    def add_reservation(self, cidr, reservation_type):
        """Reserve a range, as CreateSubnetCidrReservation does: what is held in it stays held.

        Cost: proportional to the range's blocks. Raises `ReservationError`: not a range of
        the subnet, overlapping another, or of an unknown type.
        """
        if reservation_type not in RESERVATION_TYPES:
            raise ReservationError(str(cidr), f"type {reservation_type!r} is neither "
                                   f"{' nor '.join(map(repr, RESERVATION_TYPES))}")
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise ReservationError(str(cidr), f"not an IPv4 range ({error})") from None
        if not network.subnet_of(ipaddress.IPv4Network(self.cidr)):
            raise ReservationError(str(cidr), f"outside subnet {self.cidr}")
        for other, _ in self._reservations:
            if network.overlaps(ipaddress.IPv4Network(other)):
                raise ReservationError(str(cidr), f"overlaps {other}")
        self._reservations.append((str(network), reservation_type))
        self._reserve(network, reservation_type, True)

    def remove_reservation(self, cidr):
        """Delete a reservation: what nobody holds of it can be picked again.

        Raises `ReservationError`: there is none of exactly this range.
        """
        for place, (reserved, kind) in enumerate(self._reservations):
            if reserved == cidr:
                del self._reservations[place]
                self._reserve(ipaddress.IPv4Network(cidr), kind, False)
                return
        raise ReservationError(str(cidr), f"subnet {self.cidr} has no such reservation")

    def _reserve(self, network, kind, bint reserve):
        cdef int start = int(network.network_address) - self._base
        cdef int size = network.num_addresses, block
        cdef uint16_t mask = ((1 << min(size, PER_BLOCK)) - 1) << (start & 15)
        for block in range(start >> 4, (start + size + PER_BLOCK - 1) >> 4):
            self._reserved[block] = (self._reserved[block] | mask if reserve
                                     else self._reserved[block] & ~mask)
            self._flags[block] &= ~IN_PREFIX
            if reserve and kind == "prefix" and mask == ALL_FREE:
                self._flags[block] |= IN_PREFIX
            self._c_set_free(block, self._free[block])

    # --- changes ------------------------------------------------------------------------------

    cdef int _flip_one(self, address, bint release) except -1:
        """Take a named address, or give it back."""
        cdef int offset = self._c_offset(address, c_parse_address(address))
        if not self._c_may_flip(offset, release):
            self._refuse(offset, release)
        self._c_set_free(offset >> 4, self._free[offset >> 4] ^ 1 << (offset & 15))
        return 0

    def _flip(self, addresses, bint release):
        """Take named addresses, or give them back: all, or none and raise."""
        cdef const int64_t[::1] offsets = self.offsets(addresses)
        cdef Py_ssize_t at, undone
        # The masks are changed as far as they can be, and back if one cannot; all the rest
        # follows only from masks that hold every change.
        for at in range(offsets.shape[0]):
            if not self._c_may_flip(<int> offsets[at], release):
                for undone in range(at):
                    self._free[offsets[undone] >> 4] ^= 1 << (offsets[undone] & 15)
                self._refuse(<int> offsets[at], release)
            self._free[offsets[at] >> 4] ^= 1 << (offsets[at] & 15)
        for at in range(offsets.shape[0]):
            self._c_set_free(<int> offsets[at] >> 4, self._free[offsets[at] >> 4])

    def _refuse(self, int offset, bint release):
        address = c_address_text(self._base + offset)
        if release:
            raise UnknownAddressError(address, f"the list of addresses taken in {self.cidr}")
        if self._c_aws(offset >> 4) >> (offset & 15) & 1:
            raise AddressInUseError(f"{address}, which AWS reserves,")
        raise AddressInUseError(address)

    cdef inline bint _c_may_flip(self, int offset, bint release) noexcept:
        cdef int block = offset >> 4
        if not release:
            return self._free[block] >> (offset & 15) & 1
        if self._flags[block] & DELEGATED:
            return False
        return not (self._free[block] | self._c_aws(block)) >> (offset & 15) & 1

    cdef inline void _c_delegate(self, int block) noexcept:
        self._flags[block] |= DELEGATED
        self._c_set_free(block, 0)

    cdef void _c_set_free(self, int block, uint16_t free) noexcept:
        """Change what is free in a block, and all that follows from it and its reservations."""
        cdef int n_free = c_count(free), key = self._key[block], wanted, place, other, neighbour
        self._free[block] = free
        self._n_free += n_free - self._n_free_in[block]
        self._n_free_in[block] = n_free
        wanted = self._c_key_of(block)
        if wanted == key:
            return
        self._n_open += (wanted if wanted <= WHOLE else 0) - (key if key <= WHOLE else 0)
        c_put(&self._room, block, 1 <= wanted <= WHOLE)
        c_put(&self._whole, block, wanted == WHOLE)
        c_put(&self._whole_reserved, block, wanted == RESERVED_WHOLE)
        self._key[block] = wanted
        place = self._place[block]
        while key != wanted:
            # Swap places with the last of this key, or the first, then move the border.
            if key < wanted:
                key += 1
                self._starts[key] -= 1
                other = self._starts[key]
            else:
                other = self._starts[key]
                self._starts[key] += 1
                key -= 1
            neighbour = self._order[other]
            self._order[place] = neighbour
            self._place[neighbour] = place
            self._order[other] = block
            place = other
        self._place[block] = place

    # --- choices --------------------------------------------------------------------------------

    cdef int _c_choose(self) noexcept:
        """Return the offset of the address that the placement takes; there must be one."""
        cdef int key = 1, block, at, weight
        cdef uint16_t usable
        if self._choice == LOWEST:
            block = c_lowest(&self._room)
            at = 0
        elif self._choice == DENSEST:
            while self._starts[key] == self._starts[key + 1]:
                key += 1
            block = self._order[self._starts[key]]
            at = 0
        else:
            at = self._c_below(self._n_open)
            while True:
                weight = key * (self._starts[key + 1] - self._starts[key])
                if at < weight:
                    break
                at -= weight
                key += 1
            block = self._order[self._starts[key] + at // key]
            at %= key
        usable = self._free[block] & ~self._reserved[block]
        while at > 0:
            usable &= usable - 1
            at -= 1
        return block << 4 | first_set(usable)

    cdef inline int _c_find_whole(self) noexcept:
        cdef int block = c_lowest(&self._whole_reserved)
        return block if block >= 0 else c_lowest(&self._whole)

    cdef inline uint32_t _c_next(self) noexcept:
        """Return 32 random bits (SplitMix64, Steele, Lea and Flood 2014)."""
        cdef uint64_t mixed
        self._random += <uint64_t> 0x9E3779B97F4A7C15
        mixed = self._random
        mixed = (mixed ^ mixed >> 30) * <uint64_t> 0xBF58476D1CE4E5B9
        mixed = (mixed ^ mixed >> 27) * <uint64_t> 0x94D049BB133111EB
        return <uint32_t> ((mixed ^ mixed >> 31) >> 32)

    cdef inline int _c_below(self, uint32_t n) noexcept:
        """Return a number below `n`, each equally likely (Lemire 2019); `n` is not 0."""
        cdef uint64_t product = <uint64_t> self._c_next() * n
        cdef uint32_t unfair
        if <uint32_t> product < n:
            unfair = (<uint32_t> 0 - n) % n
            while <uint32_t> product < unfair:
                product = <uint64_t> self._c_next() * n
        return <int> (product >> 32)

    # --- what follows from masks and flags -----------------------------------------------------

    cdef void _c_bind(self, bytearray memory):
        """Lay the arrays out in one piece of memory, which views of them keep alive."""
        cdef char *start = memory
        self._memory = memory
        self._free = <uint16_t*> start
        self._reserved = self._free + self._n_blocks
        self._order = self._reserved + self._n_blocks
        self._place = self._order + self._n_blocks
        self._n_free_in = <uint8_t*> (self._place + self._n_blocks)
        self._key = self._n_free_in + self._n_blocks
        self._flags = self._key + self._n_blocks

    def _view(self, dtype, int start):
        import numpy

        view = numpy.frombuffer(self._memory, dtype, self._n_blocks, start)
        view.flags.writeable = False
        return view

    cdef int _c_offset(self, given, int64_t address) except -1:
        """Return where in the subnet an address is; `given` is how the caller wrote it."""
        cdef int64_t offset = address - self._base
        if offset < 0 or offset >= self._n_blocks * PER_BLOCK:
            raise UnknownAddressError(c_address_text(address) if given is None else given,
                                      f"subnet {self.cidr}")
        return <int> offset

    cdef inline uint16_t _c_aws(self, int block) noexcept:
        """Return the addresses of a block that AWS keeps for itself."""
        return ((FIRST_OF_AWS if block == 0 else 0)
                | (LAST_OF_AWS if block == self._n_blocks - 1 else 0))

    cdef inline int _c_key_of(self, int block) noexcept:
        if self._flags[block] & IN_PREFIX:
            return RESERVED_WHOLE if self._free[block] == ALL_FREE else 0
        return c_count(self._free[block] & ~self._reserved[block] & ALL_FREE)

    cdef inline int _c_state(self, int block) noexcept:
        if self._flags[block] & DELEGATED:
            return PREFIX_ALLOCATED
        if block == 0 or block == self._n_blocks - 1:
            return AWS_RESERVED
        if self._free[block] == 0:
            return FULL
        if self._free[block] != ALL_FREE:
            return FRAGMENTED
        if self._flags[block] & IN_PREFIX:
            return PREFIX_RESERVED
        return EXPLICIT_RESERVED if self._reserved[block] else FREE

    def _check(self):
        """Prove every invariant of the file's head; raises `AssertionError`."""
        def prove(holds, what):
            if not holds:
                raise AssertionError(f"{self!r}: {what}")

        cdef int block, key, n_free = 0, n_open = 0, place
        cdef uint16_t free
        reserved = [0] * self._n_blocks
        in_prefix = set()
        for cidr, kind in self._reservations:
            network = ipaddress.IPv4Network(cidr)
            for offset in range(int(network.network_address) - self._base,
                                int(network.broadcast_address) - self._base + 1):
                reserved[offset >> 4] |= 1 << (offset & 15)
                if kind == "prefix" and network.prefixlen <= 28:
                    in_prefix.add(offset >> 4)
        for block in range(self._n_blocks):
            free, key = self._free[block], self._key[block]
            n_free += c_count(free)
            n_open += key if key <= WHOLE else 0
            aws = (15 if block == 0 else 0) | (1 << 15 if block == self._n_blocks - 1 else 0)
            prove(not free & aws, f"an address of AWS is free in block {block}")
            prove(self._reserved[block] == reserved[block], f"reserved, block {block}")
            prove(bool(self._flags[block] & IN_PREFIX) == (block in in_prefix),
                  f"in a prefix reservation, block {block}")
            prove(not (self._flags[block] & DELEGATED) or free == 0,
                  f"a /28 with free addresses, block {block}")
            prove(self._n_free_in[block] == c_count(free), f"n_free, block {block}")
            prove(key == self._c_key_of(block), f"key, block {block}")
            place = self._place[block]
            prove(self._order[place] == block, f"place, block {block}")
            prove(self._starts[key] <= place < self._starts[key + 1],
                  f"block {block} of key {key} stands at {place}")
        prove(self._n_free == n_free, "n_free")
        prove(self._n_open == n_open, "n_free_unreserved")
        for name, keys in (("room", range(1, WHOLE + 1)), ("whole", (WHOLE,)),
                           ("whole_reserved", (RESERVED_WHOLE,))):
            wanted = sum(1 << b for b in range(self._n_blocks) if self._key[b] in keys)
            prove(self._set_as_number(name) == wanted, f"the set {name}")

    def _set_as_number(self, name):
        cdef BlockSet *blocks = (&self._room if name == "room" else
                                 &self._whole if name == "whole" else &self._whole_reserved)
        cdef int word
        for word in range(64):
            if bool(blocks.words[word]) != bool(blocks.summary >> word & 1):
                raise AssertionError(f"{self!r}: the summary of the set {name}")
        return sum(int(blocks.words[word]) << 64 * word for word in range(64))
