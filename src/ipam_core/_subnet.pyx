"""The addresses of one subnet, taken and given back as EC2 does.

`_blocks.pxd` holds the data structure, its layout and invariants. Here addresses are
texts or arrays, reservations have ranges and types, and refusals have reasons.

Cost: taking, giving back or finding an address or a /28 is constant. `n_free` and
`n_free_prefixes` are kept; `fragmentation`, `histogram` and `block_states` are one pass
over blocks, never over addresses.

The meaning of reservations and AWS's five addresses:
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-cidr-reservation.html
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html

Threads: every call holds the GIL from end to end.
"""

cimport cython
from cpython.buffer cimport PyObject_CheckBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from ipam_core._bits cimport popcount
from ipam_core._blocks cimport (
    ALL_FREE,
    BYTES_PER_BLOCK,
    DELEGATED,
    FREE,
    IN_PREFIX,
    N_STATES,
    PER_BLOCK,
    Blocks,
    blocks_aws,
    blocks_begin,
    blocks_bind,
    blocks_choose,
    blocks_choose_whole,
    blocks_delegate,
    blocks_flip,
    blocks_flip_all,
    blocks_lowest_whole,
    blocks_may_flip,
    blocks_n_whole,
    blocks_prove,
    blocks_reclaim,
    blocks_reserve,
    blocks_state,
)
from ipam_core._ipv4 cimport c_address_text, c_parse_address, c_parse_prefix, c_prefix_text

import ipaddress

from ipam_core.errors import (
    AddressInUseError,
    NoFreePrefixError,
    ReservationError,
    SubnetExhaustedError,
    UnknownAddressError,
)
from ipam_core.fragmentation import Fragmentation

PLACEMENTS = ("random", "lowest", "densest")
RESERVATION_TYPES = ("prefix", "explicit")
BLOCK_STATES = (
    "free", "fragmented", "full", "aws-reserved",
    "prefix-allocated", "prefix-reserved", "explicit-reserved",
)


cdef int c_placement(name) except -1:
    if name not in PLACEMENTS:
        raise ValueError(f"placement {name!r}: one of {', '.join(PLACEMENTS)}")
    return PLACEMENTS.index(name)


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
    cdef int _choice           # the placement, as a number
    cdef bytearray _memory     # what `_blocks` points into; views keep it alive
    cdef Blocks _blocks

    def __init__(self, cidr, *, placement="random", seed=0, reservations=()):
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise ValueError(f"{cidr!r} is not an IPv4 subnet: {error}") from None
        if not 16 <= network.prefixlen <= 28:
            raise ValueError(f"{cidr!r}: AWS allows subnets of /16 to /28")
        self._choice = c_placement(placement)
        self.placement = placement
        self.cidr = str(network)
        self._reservations = []
        self._base = int(network.network_address)
        memset(&self._blocks, 0, sizeof(Blocks))
        self._blocks.n = network.num_addresses // PER_BLOCK
        self._blocks.random = seed & 0xFFFFFFFFFFFFFFFF
        self._memory = bytearray(BYTES_PER_BLOCK * self._blocks.n)
        blocks_bind(&self._blocks, self._memory)
        blocks_begin(&self._blocks)
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
        other._memory = bytearray(self._memory)
        other._blocks = self._blocks
        blocks_bind(&other._blocks, other._memory)
        if seed is not None:
            other._blocks.random = seed & 0xFFFFFFFFFFFFFFFF
        return other

    def __repr__(self):
        return (f"Subnet({self.cidr!r}, placement={self.placement!r}: {self.n_free} free, "
                f"{self.n_free_prefixes} /28s)")

    # --- counts and views ---------------------------------------------------------------

    @property
    def n_blocks(self):
        """/28 blocks in all."""
        return self._blocks.n

    @property
    def n_free(self):
        """Addresses that nobody holds, those in reservations too."""
        return self._blocks.n_free

    @property
    def n_free_unreserved(self):
        """Addresses that EC2 may pick by itself: free and in no reservation."""
        return self._blocks.n_open

    @property
    def n_free_prefixes(self):
        """Whole free /28s that EC2 may pick: of `prefix` reservations, and unreserved."""
        return blocks_n_whole(&self._blocks)

    @property
    def reservations(self):
        """The CIDR reservations as (cidr, type) pairs, in order of making."""
        return tuple(self._reservations)

    def find_free_prefix(self):
        """Return the lowest /28 that EC2 may pick, of a reservation first; None: there is none.

        Changes nothing. Constant cost, whatever the fragmentation.
        """
        cdef int block = blocks_lowest_whole(&self._blocks)
        return None if block < 0 else c_prefix_text(self._base + block * PER_BLOCK)

    def is_free(self, address):
        """Return whether nobody holds an address of this subnet; AWS's five are not free.

        Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
        """
        cdef int offset = self._c_offset(address, c_parse_address(address))
        return bool(blocks_may_flip(&self._blocks, offset, False))

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
        return self._view("uint8", 8 * self._blocks.n)

    def block_states(self):
        """Return each block's state as its place in `BLOCK_STATES`: uint8, shape (n_blocks,).

        A wholly free block is `free`, or `prefix-reserved`, or `explicit-reserved` when a
        reservation keeps EC2 from picking it as a /28; `fragmented` has addresses of both
        kinds, in a reservation or not; the first and last are `aws-reserved`: they are never
        whole. One pass over blocks.
        """
        import numpy

        states = numpy.empty(self._blocks.n, numpy.uint8)
        cdef uint8_t[::1] view = states
        cdef int block
        for block in range(self._blocks.n):
            view[block] = blocks_state(&self._blocks, block)
        return states

    def histogram(self):
        """Return how many blocks have 0, 1, ... 16 addresses in use: int64, shape (17,).

        AWS's own are not in use; a /28 held whole is 16. One pass over blocks.
        """
        import numpy

        counts = numpy.zeros(PER_BLOCK + 1, numpy.int64)
        cdef int64_t[::1] view = counts
        cdef int block
        for block in range(self._blocks.n):
            view[PER_BLOCK - self._blocks.n_free_in[block]
                 - popcount(blocks_aws(&self._blocks, block))] += 1
        return counts

    def fragmentation(self):
        """Return the number of blocks in each state, and what they amount to. One pass."""
        cdef int counts[N_STATES]
        cdef int block, state, run = 0, longest = 0
        memset(counts, 0, sizeof(counts))
        for block in range(self._blocks.n):
            state = blocks_state(&self._blocks, block)
            counts[state] += 1
            run = run + 1 if state == FREE else 0
            longest = max(longest, run)
        states = {name.replace("-", "_"): counts[state] for state, name in enumerate(BLOCK_STATES)}
        return Fragmentation(**states, longest_free_run=longest, n_free=self._blocks.n_open)

    # --- addresses ------------------------------------------------------------------------

    def take_address(self):
        """Take the address that the placement chooses, and return it.

        Constant cost. Raises `SubnetExhaustedError`: none is free outside reservations.
        """
        cdef int offset
        if self._blocks.n_open == 0:
            raise SubnetExhaustedError(self.cidr, asked=1, free=0)
        offset = blocks_choose(&self._blocks, self._choice)
        blocks_flip(&self._blocks, offset)
        return c_address_text(self._base + offset)

    def take_addresses(self, int n):
        """Take `n` addresses, all or none, and return them.

        Raises `SubnetExhaustedError`: fewer are free outside reservations.
        """
        cdef int _
        if n < 0:
            raise ValueError(f"{n} addresses: at least 0")
        if n > self._blocks.n_open:
            raise SubnetExhaustedError(self.cidr, asked=n, free=self._blocks.n_open)
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
        cdef int block = blocks_choose_whole(&self._blocks, self._choice)
        if block < 0:
            raise NoFreePrefixError(self.cidr, asked=1, free_prefixes=0, free=self._blocks.n_open)
        blocks_delegate(&self._blocks, block)
        return c_prefix_text(self._base + block * PER_BLOCK)

    def take_prefixes(self, int n):
        """Take `n` whole free /28s, all or none, and return them.

        Raises `NoFreePrefixError`: there are fewer.
        """
        cdef int _
        if n < 0:
            raise ValueError(f"{n} prefixes: at least 0")
        if n > blocks_n_whole(&self._blocks):
            raise NoFreePrefixError(self.cidr, asked=n, free_prefixes=self.n_free_prefixes,
                                    free=self._blocks.n_open)
        return [self.take_prefix() for _ in range(n)]

    def take_given_prefix(self, prefix):
        """Take one /28 by name, in a reservation or not.

        Raises:
            ValueError: not an IPv4 /28. UnknownAddressError: outside the subnet.
            AddressInUseError: an address of it is held, or is AWS's.
        """
        cdef int block = self._c_offset(prefix, c_parse_prefix(prefix)) >> 4
        if self._blocks.free[block] != ALL_FREE:
            raise AddressInUseError(prefix, PER_BLOCK - self._blocks.n_free_in[block])
        blocks_delegate(&self._blocks, block)

    def release_prefix(self, prefix):
        """Give one /28 back.

        Raises:
            ValueError: not an IPv4 /28.
            UnknownAddressError: outside the subnet, or not held as a /28.
        """
        cdef int block = self._c_offset(prefix, c_parse_prefix(prefix)) >> 4
        if not self._blocks.flags[block] & DELEGATED:
            raise UnknownAddressError(prefix, f"the list of /28s taken in {self.cidr}")
        blocks_reclaim(&self._blocks, block)

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
        blocks_reserve(&self._blocks, int(network.network_address) - self._base,
                       network.num_addresses, reserve, kind == "prefix")

    # --- within ---------------------------------------------------------------------------

    cdef int _flip_one(self, address, bint release) except -1:
        """Take a named address, or give it back."""
        cdef int offset = self._c_offset(address, c_parse_address(address))
        if not blocks_may_flip(&self._blocks, offset, release):
            self._refuse(offset, release)
        blocks_flip(&self._blocks, offset)
        return 0

    def _flip(self, addresses, bint release):
        """Take named addresses, or give them back: all, or none and raise."""
        cdef const int64_t[::1] offsets = self.offsets(addresses)
        cdef Py_ssize_t refused
        if offsets.shape[0]:
            refused = blocks_flip_all(&self._blocks, &offsets[0], offsets.shape[0], release)
            if refused >= 0:
                self._refuse(<int> offsets[refused], release)

    def _refuse(self, int offset, bint release):
        address = c_address_text(self._base + offset)
        if release:
            raise UnknownAddressError(address, f"the list of addresses taken in {self.cidr}")
        if blocks_aws(&self._blocks, offset >> 4) >> (offset & 15) & 1:
            raise AddressInUseError(f"{address}, which AWS reserves,")
        raise AddressInUseError(address)

    def _view(self, dtype, int start):
        import numpy

        view = numpy.frombuffer(self._memory, dtype, self._blocks.n, start)
        view.flags.writeable = False
        return view

    cdef int _c_offset(self, given, int64_t address) except -1:
        """Return where in the subnet an address is; `given` is how the caller wrote it."""
        cdef int64_t offset = address - self._base
        if offset < 0 or offset >= self._blocks.n * PER_BLOCK:
            raise UnknownAddressError(c_address_text(address) if given is None else given,
                                      f"subnet {self.cidr}")
        return <int> offset

    def _check(self):
        """Prove the invariants of `_blocks.pxd`; raises `AssertionError`."""
        cdef int block
        reserved = [0] * self._blocks.n
        in_prefix = set()
        for cidr, kind in self._reservations:
            network = ipaddress.IPv4Network(cidr)
            for offset in range(int(network.network_address) - self._base,
                                int(network.broadcast_address) - self._base + 1):
                reserved[offset >> 4] |= 1 << (offset & 15)
                if kind == "prefix" and network.prefixlen <= 28:
                    in_prefix.add(offset >> 4)
        for block in range(self._blocks.n):
            if (self._blocks.reserved[block] != reserved[block]
                    or bool(self._blocks.flags[block] & IN_PREFIX) != (block in in_prefix)):
                raise AssertionError(f"{self!r}: what is reserved of block {block}")
        blocks_prove(&self._blocks)
