"""The addresses of one subnet, taken and given back as EC2 does.

`_blocks.pxd` holds the data structure, its layout and invariants. Here addresses are
texts or arrays, reservations have ranges and types, and refusals have reasons.

Cost: taking, giving back or finding an address or a /28 is constant.

The meaning of reservations and AWS's five addresses:
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-cidr-reservation.html
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html

Threads: every call holds the GIL from end to end.

A method that takes or gives back reads its arguments, then runs C code to the end. It makes
Python objects only before or after, so that no finalizer and no argument's own method can
change the subnet half-way.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from ipam_core._blocks cimport (
    ALL_FREE,
    DELEGATED,
    PER_BLOCK,
    Blocks,
    blocks_begin,
    blocks_bind,
    blocks_choose,
    blocks_choose_whole,
    blocks_delegate,
    blocks_flip,
    blocks_flip_all,
    blocks_may_flip,
    blocks_n_whole,
    blocks_reclaim,
    blocks_reorder,
    blocks_reserve,
)
from ipam_core._ipv4 cimport c_address_text, c_parse_address, c_parse_prefix, c_prefix_text
from ipam_core._subnet_view cimport Memory, SubnetView, memory_of
from ipam_core._text cimport given_text

import ipaddress

from ipam_core import _subnet_view
from ipam_core.errors import (
    AddressInUseError,
    NoFreePrefixError,
    ReservationError,
    SubnetExhaustedError,
    UnknownAddressError,
)

PLACEMENTS = ("random", "lowest", "densest")
RESERVATION_TYPES = ("prefix", "explicit")
BLOCK_STATES = _subnet_view.BLOCK_STATES


cdef int c_placement(name) except -1:
    if name not in PLACEMENTS:
        raise ValueError(f"placement {name!r}: one of {', '.join(PLACEMENTS)}")
    return PLACEMENTS.index(name)


@cython.final
cdef class Subnet(SubnetView):
    """Subnet(cidr, *, placement='random', seed=0, reservations=())\n--\n\n\
    The addresses of one subnet, taken and given back as EC2 does.

    `cidr` is /28 to /16. `placement` chooses the address if none is named: `random` is what
    EC2 does, uniform over those it may pick, in a sequence that `seed` decides; `lowest`;
    `densest`, in the block with the fewest to pick, so that /28s stay free. A /28 is random
    with `random`, else the lowest. `reservations` are (cidr, type) pairs, the type `prefix` or
    `explicit`.

    AWS keeps the first four addresses and the last. An address in a reservation is taken only
    by name; a /28 is taken from a `prefix` reservation first. Source:
    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-cidr-reservation.html

    An address is `in` a subnet, and iterated over, as with `ipaddress.IPv4Network`: taken or
    not; `len` counts them. Subnets are equal that hold, reserve and will choose the same. They
    can be copied and pickled, not hashed.

    Raises:
        ValueError: not an IPv4 network of /16 to /28; an unknown placement.
        ReservationError: a reservation is outside the subnet or overlaps another.
    """

    def __init__(self, cidr, *, placement="random", seed=0, reservations=()):
        cdef int choice = c_placement(placement)
        cdef uint64_t random = seed & 0xFFFFFFFFFFFFFFFF
        cdef list reserve = list(reservations)
        cdef Memory memory
        cdef uint32_t base
        cdef int n_blocks
        cdef str text
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise ValueError(f"{cidr!r} is not an IPv4 subnet: {error}") from None
        if not 16 <= network.prefixlen <= 28:
            raise ValueError(f"{cidr!r}: AWS allows subnets of /16 to /28")
        text, base = str(network), int(network.network_address)
        n_blocks = network.num_addresses // PER_BLOCK
        memory = memory_of(n_blocks)
        # From here on nothing runs a caller's code.
        if self._memory is not None:
            raise TypeError("a Subnet that is made cannot be made again")
        self.cidr, self.placement = text, PLACEMENTS[choice]
        self._choice, self._base = choice, base
        self._reservations = ()
        self._memory = memory
        memset(&self._blocks, 0, sizeof(Blocks))
        self._blocks.n, self._blocks.random = n_blocks, random
        blocks_bind(&self._blocks, memory.start)
        blocks_begin(&self._blocks)
        for reserved, kind in reserve:
            self.add_reservation(reserved, kind)

    def copy(self, *, placement=None, seed=None):
        """Return a separate subnet in the same state, random sequence included.

        `placement` and `seed` are for the copy; None: the same as here. Cost: 12 bytes a block.
        """
        cdef Subnet other = Subnet.__new__(Subnet)
        cdef int choice = self._choice if placement is None else c_placement(placement)
        cdef uint64_t random = 0 if seed is None else seed & 0xFFFFFFFFFFFFFFFF
        cdef Memory memory = memory_of(self._blocks.n)
        other.cidr, other.placement = self.cidr, PLACEMENTS[choice]
        other._choice, other._base = choice, self._base
        other._reservations = self._reservations
        other._memory = memory
        other._blocks = self._blocks
        if memory.size:
            memcpy(memory.start, self._blocks.free, memory.size)
        blocks_bind(&other._blocks, memory.start)
        if seed is not None:
            other._blocks.random = random
        return other

    # --- addresses ------------------------------------------------------------------------

    def take_address(self):
        """Take the address that the placement chooses, and return it (Kubernetes' `AllocateNext`).

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

        Raises `SubnetExhaustedError`: fewer are free outside reservations. Cost: constant for each.
        """
        cdef list texts
        cdef int *taken
        cdef int number
        if n < 0:
            raise ValueError(f"{n} addresses: at least 0")
        if n <= self._blocks.n_open:
            texts = [None] * n
        # From here on nothing runs other code: making a text does not.
        if n > self._blocks.n_open:
            raise SubnetExhaustedError(self.cidr, asked=n, free=self._blocks.n_open)
        taken = <int*> PyMem_Calloc(n, sizeof(int))
        if taken == NULL:
            raise MemoryError
        for number in range(n):
            taken[number] = blocks_choose(&self._blocks, self._choice)
            blocks_flip(&self._blocks, taken[number])
        try:
            for number in range(n):
                texts[number] = c_address_text(self._base + taken[number])
        except MemoryError:
            for number in range(n):
                blocks_flip(&self._blocks, taken[number])
            raise
        finally:
            PyMem_Free(taken)
        return texts

    def take_given(self, address):
        """Take one address by name, in a reservation or not: Kubernetes' `Allocate`. Constant cost.

        Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
            AddressInUseError: it is held, or AWS reserves it.
        """
        self.flip_one(given_text(address), False)

    def take_given_addresses(self, addresses):
        """Take addresses by name, all or none: an array of uint32 (n,), or texts.

        Raises: as `take_given` does, of the first that cannot be taken.
        """
        self.flip(addresses, False)

    def release_address(self, address):
        """Give one address back: Kubernetes' `Release`. Constant cost.

        Raises:
            ValueError: not an IPv4 address.
            UnknownAddressError: outside the subnet, or not held singly.
        """
        self.flip_one(given_text(address), True)

    def release_addresses(self, addresses):
        """Give addresses back, all or none: an array of uint32 (n,), or texts.

        Raises: as `release_address` does, of the first that cannot be given back.
        """
        self.flip(addresses, True)

    # --- /28s -------------------------------------------------------------------------------

    def take_prefix(self):
        """Take a free /28, of a `prefix` reservation first, and return it.

        Constant cost. Raises `NoFreePrefixError`: there is none.
        """
        cdef int block = blocks_choose_whole(&self._blocks, self._choice)
        if block < 0:
            raise NoFreePrefixError(self.cidr, asked=1, free_prefixes=0, free=self._blocks.n_open)
        blocks_delegate(&self._blocks, block)
        return c_prefix_text(self._base + block * PER_BLOCK)

    def take_prefixes(self, int n):
        """Take `n` free /28s, all or none, and return them.

        Raises `NoFreePrefixError`: there are fewer. Cost: constant for each.
        """
        cdef list texts
        cdef int *taken
        cdef int number
        if n < 0:
            raise ValueError(f"{n} prefixes: at least 0")
        if n <= blocks_n_whole(&self._blocks):
            texts = [None] * n
        # From here on nothing runs other code: making a text does not.
        if n > blocks_n_whole(&self._blocks):
            raise NoFreePrefixError(self.cidr, asked=n, free_prefixes=self.n_free_prefixes,
                                    free=self._blocks.n_open)
        taken = <int*> PyMem_Calloc(n, sizeof(int))
        if taken == NULL:
            raise MemoryError
        for number in range(n):
            taken[number] = blocks_choose_whole(&self._blocks, self._choice)
            blocks_delegate(&self._blocks, taken[number])
        try:
            for number in range(n):
                texts[number] = c_prefix_text(self._base + taken[number] * PER_BLOCK)
        except MemoryError:
            for number in range(n):
                blocks_reclaim(&self._blocks, taken[number])
            raise
        finally:
            PyMem_Free(taken)
        return texts

    def take_given_prefix(self, prefix):
        """Take one /28 by name, in a reservation or not. Constant cost.

        Raises:
            ValueError: not an IPv4 /28. UnknownAddressError: outside the subnet.
            AddressInUseError: an address of it is held, or is AWS's.
        """
        cdef str text = given_text(prefix)
        cdef int block = self.offset_of(c_parse_prefix(text)) >> 4
        if self._blocks.free[block] != ALL_FREE:
            raise AddressInUseError(text, PER_BLOCK - self._blocks.n_free_in[block])
        blocks_delegate(&self._blocks, block)

    def release_prefix(self, prefix):
        """Give one /28 back. Constant cost.

        Raises:
            ValueError: not an IPv4 /28.
            UnknownAddressError: outside the subnet, or not held as a /28.
        """
        cdef str text = given_text(prefix)
        cdef int block = self.offset_of(c_parse_prefix(text)) >> 4
        if not self._blocks.flags[block] & DELEGATED:
            raise UnknownAddressError(text, f"the list of /28s taken in {self.cidr}")
        blocks_reclaim(&self._blocks, block)

    # --- reservations -------------------------------------------------------------------------

    def add_reservation(self, cidr, reservation_type):
        """Reserve a range, as CreateSubnetCidrReservation does: addresses held in it stay held.

        Cost: proportional to the range's blocks. Raises `ReservationError`: not a range of
        the subnet, overlapping another, or of an unknown type.
        """
        cdef tuple before
        cdef str text, kind
        cdef int start, size
        cdef bint as_prefix
        if reservation_type not in RESERVATION_TYPES:
            raise ReservationError(str(cidr), f"type {reservation_type!r} is neither "
                                   f"{' nor '.join(map(repr, RESERVATION_TYPES))}")
        kind = RESERVATION_TYPES[RESERVATION_TYPES.index(reservation_type)]
        as_prefix = kind == "prefix"
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise ReservationError(str(cidr), f"not an IPv4 range ({error})") from None
        text = str(network)
        if not network.subnet_of(ipaddress.IPv4Network(self.cidr)):
            raise ReservationError(text, f"outside subnet {self.cidr}")
        start = int(network.network_address) - self._base
        size = network.num_addresses
        before = None
        while before is not self._reservations:    # again, where other code ran meanwhile
            before = self._reservations
            for other, _ in before:
                if network.overlaps(ipaddress.IPv4Network(other)):
                    raise ReservationError(text, f"overlaps {other}")
            after = (*before, (text, kind))
        self._reservations = after
        blocks_reserve(&self._blocks, start, size, True, as_prefix)

    def remove_reservation(self, cidr):
        """Delete a reservation: its free addresses can be picked again.

        Raises `ReservationError`: there is none of exactly this range. Cost: O(its blocks).
        """
        cdef str text = given_text(cidr)
        cdef tuple before = None, after
        cdef int start = 0, size = 0
        while before is not self._reservations:    # again, where other code ran meanwhile
            before = self._reservations
            after = tuple([pair for pair in before if pair[0] != text])
            if len(after) == len(before):
                raise ReservationError(text, f"subnet {self.cidr} has no such reservation")
            network = ipaddress.IPv4Network(text)
            start = int(network.network_address) - self._base
            size = network.num_addresses
        self._reservations = after
        blocks_reserve(&self._blocks, start, size, False, False)

    # --- what is chosen next ------------------------------------------------------------------

    def set_sequence(self, random, order):
        """Make the same choices from now on as the subnet whose `sequence` this is.

        The same must be taken and reserved in both. Cost: one pass over blocks.

        Raises:
            ValueError: `order` is not one of this subnet's blocks; nothing has changed.
            OverflowError: `random` is not a number below 2**64.
        """
        cdef uint64_t state = random
        cdef const uint16_t[::1] given = order
        cdef uint8_t[::1] seen = bytearray(self._blocks.n)
        cdef int wrong
        # From here on nothing runs other code.
        if given.shape[0] != self._blocks.n:
            raise ValueError(f"order: {given.shape[0]} blocks, and there are {self._blocks.n}")
        wrong = blocks_reorder(&self._blocks, &given[0], &seen[0])
        if wrong >= 0:
            raise ValueError(f"order: block {given[wrong]} cannot be in place {wrong}")
        self._blocks.random = state

    # --- within ---------------------------------------------------------------------------

    cdef int flip_one(self, str address, bint release) except -1:
        """Take a named address, or give it back."""
        cdef int offset = self.offset_of(c_parse_address(address))
        if not blocks_may_flip(&self._blocks, offset, release):
            raise self.refusal(offset, release)
        blocks_flip(&self._blocks, offset)
        return 0

    cdef int flip(self, object addresses, bint release) except -1:
        """Take named addresses, or give them back: all, or none and raise."""
        cdef const int64_t[::1] offsets = self.offsets(addresses)
        cdef Py_ssize_t refused
        if offsets.shape[0]:
            refused = blocks_flip_all(&self._blocks, &offsets[0], offsets.shape[0], release)
            if refused >= 0:
                raise self.refusal(<int> offsets[refused], release)
        return 0
