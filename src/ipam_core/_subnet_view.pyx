"""Questions about a subnet that change nothing: the part of the Subnet for counts and views.

Cost: `n_free` and `n_free_prefixes` are kept; `fragmentation`, `histogram` and
`block_states` are one pass over blocks, never over addresses.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo, PyObject_CheckBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from ipam_core._bits cimport popcount
from ipam_core._blocks cimport (
    BYTES_PER_BLOCK,
    DELEGATED,
    FREE,
    IN_PREFIX,
    N_STATES,
    PER_BLOCK,
    blocks_aws,
    blocks_check,
    blocks_lowest_whole,
    blocks_may_flip,
    blocks_n_whole,
    blocks_state,
)
from ipam_core._ipv4 cimport c_address_text, c_parse_address, c_prefix_text
from ipam_core._text cimport given_text

import ipaddress
from array import array

from ipam_core._extras import numpy_for
from ipam_core.errors import AddressInUseError, UnknownAddressError
from ipam_core.fragmentation import Fragmentation

BLOCK_STATES = (
    "free", "fragmented", "full", "aws-reserved",
    "prefix-allocated", "prefix-reserved", "explicit-reserved",
)


@cython.final
cdef class Memory:
    """The arrays of a subnet's blocks, for views: read-only, and alive as long as a view is."""

    def __dealloc__(self):
        PyMem_Free(self.start)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.start, self.size, True, flags)


cdef Memory memory_of(int n_blocks):
    """Return the memory for so many blocks, all 0."""
    cdef Memory memory = Memory.__new__(Memory)
    memory.start = <char*> PyMem_Calloc(n_blocks, BYTES_PER_BLOCK)
    if memory.start == NULL:
        raise MemoryError
    memory.size = n_blocks * BYTES_PER_BLOCK
    return memory


def restored(cidr, placement, reservations, random, order, free, flags, addresses, prefixes):
    """Return the subnet that was pickled; each value is checked as a caller's is."""
    from ipam_core._subnet import Subnet

    subnet = Subnet.from_addresses(cidr, (), prefixes=prefixes, placement=placement)
    for address in addresses:
        subnet.take_given(address)
    for reserved, kind in reservations:
        subnet.add_reservation(reserved, kind)
    subnet.set_sequence(random, array("H", order))
    if (<SubnetView?> subnet).state()[4:] != (order, free, flags):
        raise ValueError(f"{subnet!r}: what was pickled does not agree with itself")
    return subnet


cdef class SubnetView:
    """A subnet's blocks, and the questions about them."""

    def __cinit__(self):
        self._reservations = ()

    def __repr__(self):
        return (f"Subnet({self.cidr!r}, placement={self.placement!r}: {self.n_free} free, "
                f"{self.n_free_prefixes} /28s)")

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

    # --- as Python's own containers are -------------------------------------------------

    def __len__(self):
        """Return how many addresses the subnet has, AWS's five included."""
        return self._blocks.n * PER_BLOCK

    def __bool__(self):
        """Return True, whatever is taken."""
        return True

    def __iter__(self):
        """Iterate over all addresses, as texts, taken or not."""
        return map(c_address_text, range(self._base, self._base + self._blocks.n * PER_BLOCK))

    def __contains__(self, address):
        """Return whether an address, a text or an `IPv4Address`, is of this subnet.

        Raises `TypeError` if it is neither.
        """
        if not isinstance(address, (str, ipaddress.IPv4Address)):
            raise TypeError(f"{address!r} in a Subnet: give an IPv4 address")
        try:
            offset = c_parse_address(given_text(address)) - self._base
        except ValueError:
            return False
        return 0 <= offset < self._blocks.n * PER_BLOCK

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return (<SubnetView> self).state() == (<SubnetView> other).state()

    def __copy__(self):
        return (<object> self).copy()

    def __deepcopy__(self, memo):
        return (<object> self).copy()

    def __reduce__(self):
        if self._memory is None:
            raise TypeError("a Subnet that was not made cannot be pickled")
        return restored, (*self.state(), self.taken_addresses(), self.taken_prefixes())

    def taken_addresses(self):
        """Return the addresses that are taken one by one, in order. One pass over blocks."""
        cdef list found = []
        cdef int block, bit
        cdef uint16_t taken
        for block in range(self._blocks.n):
            if self._blocks.flags[block] & DELEGATED:
                continue
            taken = ~(self._blocks.free[block] | blocks_aws(&self._blocks, block))
            for bit in range(PER_BLOCK):
                if taken >> bit & 1:
                    found.append(c_address_text(self._base + block * PER_BLOCK + bit))
        return found

    def taken_prefixes(self):
        """Return the /28s that are taken, in order. One pass over blocks."""
        cdef list found = []
        cdef int block
        for block in range(self._blocks.n):
            if self._blocks.flags[block] & DELEGATED:
                found.append(c_prefix_text(self._base + block * PER_BLOCK))
        return found

    # --- counts and views ---------------------------------------------------------------

    @property
    def n_blocks(self):
        """/28 blocks in all."""
        return self._blocks.n

    @property
    def n_free(self):
        """Addresses that are not held, those in reservations too."""
        return self._blocks.n_free

    @property
    def n_free_unreserved(self):
        """Addresses that EC2 may pick: free and in no reservation."""
        return self._blocks.n_open

    @property
    def n_free_prefixes(self):
        """Free /28s that EC2 may pick: of `prefix` reservations, and unreserved."""
        return blocks_n_whole(&self._blocks)

    @property
    def reservations(self):
        """The CIDR reservations as (cidr, type) pairs, in order of making."""
        return self._reservations

    def find_free_prefix(self):
        """Return the lowest /28 that EC2 may pick, of a reservation first; None: there is none.

        Changes nothing. Constant cost, with any fragmentation.
        """
        cdef int block = blocks_lowest_whole(&self._blocks)
        return None if block < 0 else c_prefix_text(self._base + block * PER_BLOCK)

    def is_free(self, address):
        """Return whether an address is free, not `Has` of Kubernetes; AWS's five are not free.

        Constant cost. Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
        """
        cdef int offset = self.offset_of(c_parse_address(given_text(address)))
        return bool(blocks_may_flip(&self._blocks, offset, False))

    def offsets(self, addresses):
        """Return the offsets of addresses in the subnet, 0 the first: int64, shape (n,).

        `addresses` is an array of uint32, shape (n,), or an iterable of texts. An offset's
        block is `offset >> 4`. Cost: about 50 ns a text.

        Raises:
            ValueError: not an IPv4 address. UnknownAddressError: outside the subnet.
        """
        numpy = numpy_for("offsets of addresses")

        cdef const uint32_t[::1] numbers = None
        cdef int64_t[::1] found
        cdef tuple texts
        cdef Py_ssize_t at
        if isinstance(addresses, str):
            raise TypeError(f"{addresses!r}: give the addresses in a list")
        if PyObject_CheckBuffer(addresses):
            numbers = addresses
            offsets = numpy.empty(numbers.shape[0], numpy.int64)
            found = offsets
            for at in range(numbers.shape[0]):
                found[at] = self.offset_of(numbers[at])
            return offsets
        texts = tuple(addresses)
        offsets = numpy.empty(len(texts), numpy.int64)
        found = offsets
        for at, text in enumerate(texts):
            found[at] = self.offset_of(c_parse_address(given_text(text)))
        return offsets

    def free_masks(self):
        """Return a live, read-only view: a bit for each free address, uint16, shape (n_blocks,).

        Bit 0 is the block's lowest address.
        """
        return self.view("uint16", 0)

    def free_counts(self):
        """Return a live, read-only view: free addresses of each block, uint8, (n_blocks,)."""
        return self.view("uint8", 8 * self._blocks.n)

    def block_states(self):
        """Return each block's state as its place in `BLOCK_STATES`: uint8, shape (n_blocks,).

        A block with 16 free addresses is `free`, or `prefix-reserved`, or `explicit-reserved`
        if a reservation prevents EC2 from picking it as a /28; `fragmented` has free and used
        addresses, in a reservation or not; the first and last are `aws-reserved`: they are
        never a free /28. One pass over blocks.
        """
        numpy = numpy_for("the states of blocks")

        states = numpy.empty(self._blocks.n, numpy.uint8)
        cdef uint8_t[::1] view = states
        cdef int block
        for block in range(self._blocks.n):
            view[block] = blocks_state(&self._blocks, block)
        return states

    def histogram(self):
        """Return how many blocks have 0, 1, ... 16 addresses in use: int64, shape (17,).

        AWS's own are not in use; a held /28 is 16. One pass over blocks.
        """
        numpy = numpy_for("a histogram of blocks")

        counts = numpy.zeros(PER_BLOCK + 1, numpy.int64)
        cdef int64_t[::1] view = counts
        cdef int block
        for block in range(self._blocks.n):
            view[PER_BLOCK - self._blocks.n_free_in[block]
                 - popcount(blocks_aws(&self._blocks, block))] += 1
        return counts

    def fragmentation(self):
        """Return the number of blocks in each state, and their score. One pass."""
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

    def sequence(self):
        """Return what decides the next choices besides the taken addresses: for `set_sequence`.

        That is the state of the random sequence, below 2**64, and the blocks in order of how
        many of their addresses can be picked; blocks with the same number are in the order of
        past choices: uint16, shape (n_blocks,). One pass over blocks.
        """
        return self._blocks.random, self.view("uint16", 4 * self._blocks.n).copy()

    # --- within ---------------------------------------------------------------------------

    cdef tuple state(self):
        """Return what decides every answer: what it is made with, and the blocks' facts."""
        cdef Py_ssize_t n = self._blocks.n
        return (self.cidr, self.placement, self._reservations, self._blocks.random,
                (<char*> self._blocks.order)[:2 * n], (<char*> self._blocks.free)[:2 * n],
                (<char*> self._blocks.flags)[:n])

    cdef object view(self, str dtype, int start):
        """Return a view of one of the blocks' arrays that cannot be made writable."""
        numpy = numpy_for("a view of the blocks")

        return numpy.frombuffer(self._memory, dtype, self._blocks.n, start)

    cdef int offset_of(self, int64_t address) except -1:
        """Return the offset of an address in the subnet."""
        cdef int64_t offset = address - self._base
        if offset < 0 or offset >= self._blocks.n * PER_BLOCK:
            raise UnknownAddressError(c_address_text(<uint32_t> address), f"subnet {self.cidr}")
        return <int> offset

    cdef object refusal(self, int offset, bint release):
        """Return why an address cannot be taken, or given back."""
        cdef str address = c_address_text(self._base + offset)
        if release:
            return UnknownAddressError(address, f"the list of addresses taken in {self.cidr}")
        if blocks_aws(&self._blocks, offset >> 4) >> (offset & 15) & 1:
            return AddressInUseError(f"{address}, which AWS reserves,")
        return AddressInUseError(address)

    def _check(self):
        """Check the invariants of `_blocks.pxd`; raises `AssertionError`."""
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
        blocks_check(&self._blocks)
