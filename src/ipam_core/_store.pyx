"""The addresses of one network card's ENIs, and which sandbox holds which.

Layout
------
A store has a table of at most 64 ENIs. Each ENI keeps, for its secondary IPs and for
its prefixes apart, three words with a bit for each slot:

    attached   the slot holds a secondary IP (or a prefix)
    open       it has an address to assign now: not held, not cooling
    idle       no sandbox holds an address of it

A secondary IP is one address: (base, record). A prefix is a base, a 16-bit word of
addresses that can be assigned, one of addresses ever used, two counts, and a block of
16 record numbers that exists once the prefix has been used:

    store.open_ranks  ...0101        ENIs with an open slot, lowest device number first
                          |
    eni.levels        ...0100        numbers of free addresses that some prefix has
    eni.level[k]      ...1010        the prefixes with k free addresses
                          |
    prefix.free       1111011100     the addresses of one prefix

so that an address is found with three steps of find-first-set, whatever the number of
pods; the lowest set bit of `levels` is the fullest prefix that has room. An IPv6 /80
is a window of the same bits that doubles when it is full.

A record is an address that a sandbox holds, or has held since its prefix was
attached; nothing is allocated for an address that was never used. Records of held
addresses hang in an open-addressing hash table by the sandbox's digest; records of
cooling addresses in a list in order of release.

Invariants (`_check` proves them): every attached address is free, held or cooling,
exactly one; `open`, `idle`, `levels` and every count follow from the records; the table
finds every held record; the list is in order of release.

Cost: assign, release, find: constant. Statistics: O(ENIs). Looking an address up by
its text: one pass over the slots. Adding or removing an ENI: O(ENIs).

Threads: every call holds the GIL but the loops of `assign_many` and `release_many`,
which raise `busy` while they run without it; other calls then wait at the lock.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.pythread cimport (
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
    WAIT_LOCK,
)
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_FromStringAndSize
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from ipam_core._bits cimport bit, first_set, popcount

import hashlib
import ipaddress
import json
import zlib

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    IpamError,
    PoolExhaustedError,
    SnapshotError,
    UnknownAddressError,
    UnknownEniError,
    UnknownSandboxError,
)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int, timespec*)
    int CLOCK_MONOTONIC_COARSE

cdef enum:
    PACK = 0
    FIRST = 1
    SPREAD = 2
    ARBITRARY = 3

cdef uint32_t NONE = 0xFFFFFFFF
cdef uint64_t WIDE_MASK = (<uint64_t> 1 << 48) - 1
cdef uint32_t MOST_WORDS = 1 << 18    # of an IPv6 window: 16 million addresses


# --- values -----------------------------------------------------------------


@cython.final
cdef class Sandbox:
    """(network, container id, interface), immutable, its hash and 128-bit digest kept."""

    def __init__(self, str container_id not None, str ifname not None="eth0",
                 str network not None="aws-cni"):
        cdef bytes digest
        self.container_id = container_id
        self.ifname = ifname
        self.network = network
        digest = hashlib.blake2b(
            "\0".join((network, container_id, ifname)).encode("utf-8", "surrogatepass"),
            digest_size=16,
        ).digest()
        memcpy(self.c_digest, <const char*> digest, 16)

    @staticmethod
    def from_digest(bytes digest not None):
        """Return a sandbox of which only the digest is known; it equals the whole one."""
        cdef Sandbox value = Sandbox.__new__(Sandbox)
        if len(digest) != 16:
            raise ValueError(f"a digest has 16 bytes, not {len(digest)}")
        value.container_id = value.ifname = value.network = ""
        memcpy(value.c_digest, <const char*> digest, 16)
        return value

    @property
    def digest(self):
        return PyBytes_FromStringAndSize(<char*> self.c_digest, 16)

    def __hash__(self):
        cdef Py_hash_t value = <Py_hash_t> self.c_digest[0]
        return -2 if value == -1 else value

    def __eq__(self, other):
        if self is other:
            return True
        if type(other) is not Sandbox:
            return NotImplemented
        return (self.c_digest[0] == (<Sandbox> other).c_digest[0]
                and self.c_digest[1] == (<Sandbox> other).c_digest[1])

    def __repr__(self):
        if not self.network:
            return f"Sandbox.from_digest({self.digest!r})"
        return (f"Sandbox({self.container_id!r}, ifname={self.ifname!r}, "
                f"network={self.network!r})")

    def __reduce__(self):
        if not self.network:
            return Sandbox.from_digest, (self.digest,)
        return Sandbox, (self.container_id, self.ifname, self.network)


@cython.final
@cython.freelist(64)
cdef class Assignment:
    """One address held by one sandbox. Strings are made when asked for."""

    @property
    def address(self):
        return c_text(self.c_kind, self.c_high, self.c_low)

    @property
    def prefix(self):
        return c_prefix_text(self.c_kind, self.c_high, self.c_low)

    def __repr__(self):
        return f"Assignment({self.address} to {self.sandbox!r} on {self.eni_id})"


cdef class _Value:
    """A value that compares and shows itself by its fields."""

    _fields = ()

    def _astuple(self):
        return tuple([getattr(self, name) for name in self._fields])

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self._astuple() == (<_Value> other)._astuple()

    def __hash__(self):
        return hash(self._astuple())

    def __repr__(self):
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self._fields])
        return f"{type(self).__name__}({shown})"


@cython.final
cdef class PoolStats(_Value):
    """Counts over ENIs that are not excluded, of the mode's own kind."""

    cdef readonly int64_t total, assigned, cooling
    cdef readonly int prefixes, free_prefixes, enis
    _fields = ("total", "assigned", "cooling", "prefixes", "free_prefixes", "enis")

    @property
    def available(self):
        return self.total - self.assigned

    @property
    def assignable(self):
        return self.total - self.assigned - self.cooling


@cython.final
cdef class Eni(_Value):
    """What the store knows of an ENI, as it was added."""

    cdef readonly str eni_id, subnet_id
    cdef readonly int device_number, network_card, route_table
    cdef readonly bint primary, trunk, efa, excluded
    cdef readonly int64_t created_ns
    _fields = ("eni_id", "device_number", "network_card", "primary", "trunk", "efa",
               "excluded", "created_ns", "subnet_id", "route_table")


@cython.final
cdef class EniStats(_Value):
    """One ENI's counts."""

    cdef readonly Eni eni
    cdef readonly int64_t total, assigned, cooling
    cdef readonly int slots_used, assigned_any, cooling_any, addresses, prefixes, free_prefixes
    _fields = ("eni", "slots_used", "total", "assigned", "cooling", "assigned_any",
               "cooling_any", "addresses", "prefixes", "free_prefixes")


@cython.final
cdef class UsedAddress(_Value):
    """An address that a sandbox holds or has held since it was attached."""

    cdef readonly str address
    cdef readonly object prefix, sandbox, pod
    cdef readonly int64_t assigned_ns, released_ns
    _fields = ("address", "prefix", "sandbox", "pod", "assigned_ns", "released_ns")


@cython.final
cdef class FreeEniAnswer(_Value):
    """Which ENI can be freed; why each other cannot (pool-rules section 5.3)."""

    cdef readonly object eni_id, candidates, reasons
    _fields = ("eni_id", "candidates", "reasons")


# --- text ---------------------------------------------------------------------


cdef str c_address_text(uint32_t address):
    cdef char text[16]
    cdef int end = 0, shift, octet
    for shift in range(24, -1, -8):
        octet = (address >> shift) & 255
        if octet > 99:
            text[end] = 48 + octet // 100
            end += 1
        if octet > 9:
            text[end] = 48 + octet // 10 % 10
            end += 1
        text[end] = 48 + octet % 10
        text[end + 1] = 46
        end += 2
    return PyUnicode_FromStringAndSize(text, end - 1)


cdef str c_text(int kind, uint64_t high, uint64_t low):
    """Return an address as text."""
    if kind == WIDE:
        return str(ipaddress.IPv6Address((<object> high << 64) | low))
    return c_address_text(<uint32_t> low)


cdef str c_prefix_text(int kind, uint64_t high, uint64_t low):
    """Return the prefix that an address is out of, as text; None for a secondary IP."""
    if kind == LONE:
        return None
    if kind == PREFIX:
        return c_address_text(<uint32_t> low & ~<uint32_t> 15) + "/28"
    return c_text(WIDE, high, low & ~WIDE_MASK) + "/80"


cdef int c_parse(str text, int *kind, uint64_t *high, uint64_t *low) except -1:
    """Read an IPv4 address (kind LONE) or an IPv6 address (kind WIDE)."""
    cdef const char *digits
    cdef Py_ssize_t length, position = 0
    cdef uint32_t value = 0, octet
    cdef int octets = 0, n_digits
    digits = PyUnicode_AsUTF8AndSize(text, &length)
    # The plain form of IPv4, read here for its speed; all else is ipaddress's to judge.
    while octets < 4:
        octet = 0
        n_digits = 0
        while position < length and 48 <= digits[position] <= 57 and n_digits < 3:
            octet = octet * 10 + (digits[position] - 48)
            position += 1
            n_digits += 1
        if not n_digits or octet > 255 or (n_digits > 1 and octet < 10 ** (n_digits - 1)):
            break
        value = value << 8 | octet
        octets += 1
        if octets < 4:
            if position >= length or digits[position] != 46:
                break
            position += 1
    if octets == 4 and position == length:
        kind[0] = LONE
        high[0] = 0
        low[0] = value
        return 0
    try:
        number = int(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither an IPv4 nor an IPv6 address") from None
    kind[0] = WIDE
    high[0] = number >> 64
    low[0] = number & 0xFFFFFFFFFFFFFFFF
    return 0


cdef int c_parse_prefix(str text, int *kind, uint64_t *high, uint64_t *low) except -1:
    """Read an IPv4 /28 (kind PREFIX) or an IPv6 /80 (kind WIDE)."""
    address, _, length = text.partition("/")
    c_parse(address, kind, high, low)
    if length != ("80" if kind[0] == WIDE else "28"):
        raise ValueError(f"{text!r} is neither an IPv4 /28 nor an IPv6 /80 prefix")
    if low[0] & (WIDE_MASK if kind[0] == WIDE else 15):
        raise ValueError(f"{text!r} has address bits set below the prefix")
    if kind[0] == LONE:
        kind[0] = PREFIX
    return 0


cdef int64_t c_now(object now_ns) except? -1:
    cdef timespec now
    if now_ns is None:
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
        return <int64_t> now.tv_sec * 1000000000 + now.tv_nsec
    return now_ns


MOST_COOLDOWN_S = 9_000_000_000
"""A cooldown longer than this (285 years) would not fit 64 bits of nanoseconds."""
SNAPSHOT_HEAD = b"IPAMST\x00\x01"
"""What a snapshot begins with; the last byte is its version."""


# --- the store ------------------------------------------------------------------

_MODES = {
    "secondary-ip": 1 << LONE,
    "prefix": 1 << PREFIX,
    "mixed": 1 << LONE | 1 << PREFIX,
    "ipv6": 1 << WIDE,
}
_PLACEMENTS = {"pack": PACK, "first": FIRST, "spread": SPREAD, "arbitrary": ARBITRARY}


@cython.final
cdef class DataStore:
    """One network card's ENIs, their addresses, and the sandboxes that hold them.

    `mode` says which kind is assigned from and counted: "secondary-ip", "prefix",
    "mixed" (both, prefixes first) or "ipv6"; what is attached of another kind drains.
    A released address cools for `cooldown_s` and is assigned again only when more has
    passed. `placement` chooses the address: "pack" (lowest device number, there the
    fullest prefix, there the lowest address), "first" (lowest device number, slot and
    address), "spread" (the ENI with most free) or "arbitrary" (any ENI and slot by
    `seed`, as the real agent's walk over its maps; pool-rules section 3).

    `now_ns` is monotonic nanoseconds and may be left out of every call: the coarse
    monotonic clock is read then. Time must not go back; what has cooled stays so.
    All calls may come from several threads. A call that raises changes nothing.
    """

    MAX_ENIS = N_ENIS
    MAX_SLOTS = N_SLOTS

    def __cinit__(self):
        self.unused = self.oldest = self.newest = self.unused_block = NONE
        self.mask = 63
        self.table = <uint32_t*> PyMem_RawCalloc(64, sizeof(uint32_t))
        self.lock = PyThread_allocate_lock()
        self._by_id = {}
        if self.table == NULL or self.lock == NULL:
            raise MemoryError

    def __init__(self, mode="secondary-ip", *, cooldown_s=30, placement="pack", seed=0):
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r}: one of {', '.join(_MODES)}")
        if placement not in _PLACEMENTS:
            raise ValueError(f"placement {placement!r}: one of {', '.join(_PLACEMENTS)}")
        if not 0 <= cooldown_s <= MOST_COOLDOWN_S:
            raise ValueError(f"cooldown_s {cooldown_s!r}: from 0 to {MOST_COOLDOWN_S}")
        self.kinds = _MODES[mode]
        self._cooldown_ns = round(cooldown_s * 1_000_000_000)
        self._placement = _PLACEMENTS[placement]
        # Spread the seed over the word, and keep it off 0, which xorshift never leaves.
        self._random = <uint64_t> (
            (seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) & 0xFFFFFFFFFFFFFFFF) | 1

    def __dealloc__(self):
        cdef uint32_t number
        cdef int rank
        for number in range(self.n_records):
            Py_XDECREF(self.records[number].sandbox)
            Py_XDECREF(self.records[number].pod)
        for rank in range(self.n_enis):
            c_free_eni(self.ports[self.order[rank]])
        PyMem_RawFree(self.records)
        PyMem_RawFree(self.table)
        PyMem_RawFree(self.blocks)
        if self.lock != NULL:
            PyThread_free_lock(<PyThread_type_lock> self.lock)

    # --- threads ------------------------------------------------------------------

    cdef int _hold(self) except -1:
        """Keep every other call out while this one runs without the GIL."""
        self._wait()
        self.busy = True
        PyThread_acquire_lock(<PyThread_type_lock> self.lock, WAIT_LOCK)
        return 0

    cdef void _let_go(self) noexcept:
        """Let other calls in again; the GIL is held."""
        self.busy = False
        PyThread_release_lock(<PyThread_type_lock> self.lock)

    cdef int _wait(self) except -1:
        """Wait until no batch runs. `busy` changes only under the GIL, which is held."""
        while self.busy:
            with nogil:
                PyThread_acquire_lock(<PyThread_type_lock> self.lock, WAIT_LOCK)
                PyThread_release_lock(<PyThread_type_lock> self.lock)
        return 0

    # --- what it is -----------------------------------------------------------

    @property
    def mode(self):
        """The kind that is assigned from and counted; settable: the other kind drains."""
        return next(name for name, kinds in _MODES.items() if kinds == self.kinds)

    @mode.setter
    def mode(self, mode):
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r}: one of {', '.join(_MODES)}")
        self._wait()
        self.kinds = _MODES[mode]
        self._c_rank()

    @property
    def cooldown_ns(self):
        """How long a released address cools, in nanoseconds."""
        return self._cooldown_ns

    @property
    def placement(self):
        """How an address is chosen."""
        return next(name for name, value in _PLACEMENTS.items() if value == self._placement)

    # --- ENIs -------------------------------------------------------------------

    def add_eni(self, str eni_id not None, *, int device_number, int network_card=0,
                bint primary=False, bint trunk=False, bint efa=False, bint excluded=False,
                created_ns=None, str subnet_id not None="", int route_table=0):
        """Add an ENI without addresses.

        `created_ns` is when it came, on the monotonic clock: it may be freed when old
        enough. An `excluded` ENI gives no address and counts in no address statistic.
        Raises `DuplicateError` and, beyond 64 ENIs, `CapacityError`. Cost: O(ENIs).
        """
        cdef int64_t created
        cdef int rank = 0, handle = 0
        cdef EniSlots *eni
        self._wait()
        created = c_now(created_ns)
        if eni_id in self._by_id:
            raise DuplicateError("ENI", eni_id)
        if self.n_enis == N_ENIS:
            raise CapacityError("ENIs of a store", N_ENIS)
        if device_number < 0 or network_card < 0:
            raise ValueError(f"device_number {device_number} and network_card {network_card}: "
                             "0 or more")
        eni = <EniSlots*> PyMem_RawCalloc(1, sizeof(EniSlots))
        if eni == NULL:
            raise MemoryError
        while self.ports[handle] != NULL:
            handle += 1
        self._by_id[eni_id] = handle
        eni.eni_id = <PyObject*> eni_id
        eni.subnet_id = <PyObject*> subnet_id
        Py_INCREF(eni_id)
        Py_INCREF(subnet_id)
        eni.device_number = device_number
        eni.network_card = network_card
        eni.route_table = route_table
        eni.created_ns = created
        eni.primary = primary
        eni.trunk = trunk
        eni.efa = efa
        eni.excluded = excluded
        while (rank < self.n_enis
               and self.ports[self.order[rank]].device_number <= device_number):
            rank += 1
        memmove(&self.order[rank + 1], &self.order[rank], self.n_enis - rank)
        self.order[rank] = handle
        self.ports[handle] = eni
        self.n_enis += 1
        self._c_rank()

    def remove_eni(self, str eni_id not None, *, bint force=False):
        """Remove an ENI with all that it holds; return the assignments that went with it.

        Raises `UnknownEniError`, and `AddressInUseError` where sandboxes hold some of its
        addresses, unless `force`. Cost: O(its addresses).
        """
        cdef int handle, kind, rank
        cdef EniSlots *eni
        cdef list lost = []
        cdef uint64_t slots
        self._wait()
        handle = self._handle(eni_id)
        eni = self.ports[handle]
        if c_any(eni.n_held) and not force:
            raise AddressInUseError(f"ENI {eni_id!r}", c_any(eni.n_held))
        self._note_lost(handle, N_KINDS, 0, lost)
        for kind in range(N_KINDS):
            slots = eni.attached[kind]
            while slots:
                self._c_empty_slot(eni, kind, first_set(slots))
                slots &= slots - 1
        rank = eni.rank
        self.n_enis -= 1
        memmove(&self.order[rank], &self.order[rank + 1], self.n_enis - rank)
        self.ports[handle] = NULL
        del self._by_id[eni_id]
        c_free_eni(eni)
        self._c_rank()
        return lost

    def exclude_eni(self, str eni_id not None):
        """Take an ENI out of assignment and of every address statistic; its pods stay."""
        self._set_excluded(eni_id, True)

    def include_eni(self, str eni_id not None):
        """Take an excluded ENI in again."""
        self._set_excluded(eni_id, False)

    cdef _set_excluded(self, str eni_id, bint excluded):
        cdef int handle
        self._wait()
        handle = self._handle(eni_id)
        self.ports[handle].excluded = excluded
        self._c_refresh(handle)

    def eni(self, str eni_id not None):
        """Return what is known of an ENI. Raises `UnknownEniError`."""
        self._wait()
        return self._eni(self._handle(eni_id))

    def enis(self):
        """Return all ENIs, lowest device number first."""
        cdef int rank
        self._wait()
        return tuple([self._eni(self.order[rank]) for rank in range(self.n_enis)])

    def __contains__(self, eni_id):
        return eni_id in self._by_id

    cdef object _eni(self, int handle):
        cdef EniSlots *eni = self.ports[handle]
        cdef Eni value = Eni.__new__(Eni)
        value.eni_id = <str> eni.eni_id
        value.subnet_id = <str> eni.subnet_id
        value.device_number = eni.device_number
        value.network_card = eni.network_card
        value.route_table = eni.route_table
        value.primary = eni.primary
        value.trunk = eni.trunk
        value.efa = eni.efa
        value.excluded = eni.excluded
        value.created_ns = eni.created_ns
        return value

    cdef int _handle(self, str eni_id) except -1:
        handle = self._by_id.get(eni_id)
        if handle is None:
            raise UnknownEniError(eni_id)
        return handle

    cdef void _c_rank(self) noexcept:
        """Make ranks and `open_ranks` anew, after the order or the mode changed."""
        cdef int rank
        self.open_ranks = 0
        for rank in range(self.n_enis):
            self.ports[self.order[rank]].rank = rank
            self._c_refresh(self.order[rank])

    cdef void _c_refresh(self, int handle) noexcept nogil:
        """Set an ENI's bit of `open_ranks`, after something of it changed."""
        cdef EniSlots *eni = self.ports[handle]
        cdef uint64_t open = 0
        if self.kinds & 1 << LONE:
            open = eni.open[LONE]
        if self.kinds & 1 << PREFIX:
            open |= eni.open[PREFIX]
        if self.kinds & 1 << WIDE:
            open |= eni.open[WIDE]
        if open and not eni.excluded:
            self.open_ranks |= bit(eni.rank)
        else:
            self.open_ranks &= ~bit(eni.rank)

    # --- addresses and prefixes ---------------------------------------------------

    def add_address(self, str eni_id not None, str address not None):
        """Attach a secondary IPv4 address to an ENI.

        Raises `UnknownEniError`, `DuplicateError` where it is attached already or inside
        an attached prefix, `CapacityError` beyond 63 slots, `ValueError` where it is none.
        Cost: one pass over the slots of the store.
        """
        cdef int kind
        cdef uint64_t high, low
        c_parse(address, &kind, &high, &low)
        if kind != LONE:
            raise ValueError(f"{address!r} is not an IPv4 address")
        self._attach(eni_id, LONE, high, low, address)

    def add_prefix(self, str eni_id not None, str prefix not None):
        """Attach an IPv4 /28 or an IPv6 /80 prefix to an ENI; as `add_address`."""
        cdef int kind
        cdef uint64_t high, low
        c_parse_prefix(prefix, &kind, &high, &low)
        self._attach(eni_id, kind, high, low, prefix)

    cdef int _attach(self, str eni_id, int kind, uint64_t high, uint64_t low,
                     str text) except -1:
        cdef int handle, slot
        cdef EniSlots *eni
        self._wait()
        handle = self._handle(eni_id)
        eni = self.ports[handle]
        if self._c_is_taken(kind, high, low):
            raise DuplicateError("address" if kind == LONE else "prefix", text)
        if c_n_slots(eni) >= N_SLOTS:
            raise CapacityError(f"slots of ENI {eni_id!r}", N_SLOTS)
        slot = first_set(~eni.attached[kind])
        if (c_new_lone(eni, slot, <uint32_t> low) if kind == LONE
                else c_new_prefix(eni, slot, <uint32_t> low) if kind == PREFIX
                else c_new_wide(eni, slot, high, low)) < 0:
            raise MemoryError
        eni.attached[kind] |= bit(slot)
        eni.open[kind] |= bit(slot)
        eni.idle[kind] |= bit(slot)
        self._c_refresh(handle)
        return 0

    cdef bint _c_is_taken(self, int kind, uint64_t high, uint64_t low) noexcept nogil:
        """Return whether any of these addresses is attached to some ENI."""
        cdef int rank
        cdef uint64_t slots
        cdef EniSlots *eni
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            if kind == WIDE:
                if c_slot_of(eni, WIDE, high, low) >= 0:
                    return True
                continue
            if c_slot_of(eni, PREFIX, 0, low & ~<uint64_t> 15) >= 0:
                return True
            slots = eni.attached[LONE]
            while slots:
                if eni.lone[first_set(slots)].base - <uint32_t> low < (
                        1 if kind == LONE else PER_PREFIX):
                    return True
                slots &= slots - 1
        return False

    def remove_address(self, str eni_id not None, str address not None, *, bint force=False):
        """Detach a secondary IP; return the assignment that went with it, in a list.

        Raises `UnknownEniError`, `UnknownAddressError`, and `AddressInUseError` where a
        sandbox holds it, unless `force`. Cost: one pass over the ENI's slots.
        """
        cdef int kind
        cdef uint64_t high, low
        c_parse(address, &kind, &high, &low)
        if kind != LONE:
            raise ValueError(f"{address!r} is not an IPv4 address")
        return self._detach(eni_id, kind, high, low, address, force)

    def remove_prefix(self, str eni_id not None, str prefix not None, *, bint force=False):
        """Detach a prefix; return the assignments that went with it. As `remove_address`."""
        cdef int kind
        cdef uint64_t high, low
        c_parse_prefix(prefix, &kind, &high, &low)
        return self._detach(eni_id, kind, high, low, prefix, force)

    cdef list _detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                      bint force):
        cdef int handle, slot
        cdef EniSlots *eni
        cdef list lost = []
        self._wait()
        handle = self._handle(eni_id)
        eni = self.ports[handle]
        slot = c_slot_of(eni, kind, high, low)
        if slot < 0:
            raise UnknownAddressError(text, f"ENI {eni_id!r}")
        if not eni.idle[kind] & bit(slot) and not force:
            raise AddressInUseError(text, c_held_in_slot(eni, kind, slot))
        self._note_lost(handle, kind, slot, lost)
        self._c_empty_slot(eni, kind, slot)
        self._c_refresh(handle)
        return lost

    cdef int _note_lost(self, int handle, int kind, int slot, list lost) except -1:
        """List the assignments of a slot, or of the whole ENI (kind N_KINDS)."""
        cdef uint32_t number
        cdef Record *record
        if not c_any(self.ports[handle].n_held):
            return 0
        for number in range(self.n_records):
            record = &self.records[number]
            if record.state == HELD and record.eni == handle and (
                    kind == N_KINDS or (record.kind == kind and record.slot == slot)):
                lost.append(self._assignment(number))
        return 0

    cdef void _c_empty_slot(self, EniSlots *eni, int kind, int slot) noexcept:
        """Empty a slot with its records, those that are held or cooling too."""
        cdef uint32_t *numbers
        cdef uint32_t offset
        cdef Wide *wide
        if kind == LONE:
            self._c_drop_record(eni.lone[slot].record, eni)
        elif kind == PREFIX:
            if eni.prefixes.slot[slot].block != NONE:
                numbers = self.blocks[eni.prefixes.slot[slot].block]
                for offset in range(PER_PREFIX):
                    self._c_drop_record(numbers[offset], eni)
                numbers[0] = self.unused_block
                self.unused_block = eni.prefixes.slot[slot].block
                self.n_unused_blocks += 1
            c_relevel(eni, slot, eni.prefixes.slot[slot].n_free, 0)
        else:
            wide = &eni.wides.slot[slot]
            for offset in range(wide.n_words * 64):
                self._c_drop_record(wide.record[offset], eni)
            c_free_wide(wide)
        eni.attached[kind] &= ~bit(slot)
        eni.open[kind] &= ~bit(slot)
        eni.idle[kind] &= ~bit(slot)

    cdef void _c_drop_record(self, uint32_t number, EniSlots *eni) noexcept:
        cdef Record *record
        if number == NONE:
            return
        record = &self.records[number]
        if record.state == HELD:
            self._c_unhang(self._c_probe(record.digest))
            eni.n_held[record.kind] -= 1
        elif record.state == COOLING:
            self._c_unqueue(number)
            eni.n_cooling[record.kind] -= 1
        c_forget(record)
        memset(record, 0, sizeof(Record))
        record.after = self.unused
        self.unused = number
        self.n_unused += 1

    def addresses(self, str eni_id not None):
        """Return an ENI's secondary IPs, by slot. Raises `UnknownEniError`."""
        return self._listed(eni_id, False, False, True, None)

    def prefixes(self, str eni_id not None):
        """Return an ENI's prefixes, by slot. Raises `UnknownEniError`."""
        return self._listed(eni_id, True, False, True, None)

    def freeable_addresses(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs without a pod; without `cooling`, none that cools."""
        return self._listed(eni_id, False, True, cooling, now_ns)

    def freeable_prefixes(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's prefixes without a pod; without `cooling`, none in which one cools."""
        return self._listed(eni_id, True, True, cooling, now_ns)

    cdef list _listed(self, str eni_id, bint of_prefixes, bint only_idle, bint cooling,
                      object now_ns):
        cdef EniSlots *eni
        cdef uint64_t slots
        cdef int kind, slot
        cdef list found = []
        self._wait()
        eni = self.ports[self._handle(eni_id)]
        if not cooling:
            self._c_expire(c_now(now_ns))
        for kind in range(N_KINDS):
            if (kind != LONE) != of_prefixes:
                continue
            slots = eni.idle[kind] if only_idle else eni.attached[kind]
            while slots:
                slot = first_set(slots)
                slots &= slots - 1
                if not cooling and c_cooling_in_slot(eni, kind, slot):
                    continue
                if kind == LONE:
                    found.append(c_address_text(eni.lone[slot].base))
                elif kind == PREFIX:
                    found.append(c_prefix_text(PREFIX, 0, eni.prefixes.slot[slot].base))
                else:
                    found.append(c_prefix_text(
                        WIDE, eni.wides.slot[slot].high, eni.wides.slot[slot].low))
        return found

    # --- pods -----------------------------------------------------------------------

    def assign(self, Sandbox sandbox not None, str pod=None, now_ns=None):
        """Assign an address to a sandbox; one that has an address keeps it.

        `pod` is "namespace/name" or whatever else shall come back with the assignment.
        Raises `PoolExhaustedError` where nothing can be given now. Cost: constant.
        Source: pool-rules section 3.
        """
        cdef uint32_t number
        cdef int answer
        cdef int64_t now = c_now(now_ns)
        if self.busy:
            self._wait()
        if self.n_unused == 0 or self.n_unused_blocks == 0 or (self.n_held + 1) * 2 > self.mask:
            self._reserve(1)
        answer = self.c_assign(sandbox.c_digest, now, &number)
        if answer == EXHAUSTED:
            raise self._exhausted(now)
        if answer == NO_MEMORY:
            raise MemoryError
        if answer == DONE:
            self._own(number, sandbox, pod)
        return self._assignment(number)

    def adopt(self, Sandbox sandbox not None, str address not None, str pod=None, now_ns=None):
        """Assign a given address of either kind, cooling or not: what a restart takes over.

        Raises `UnknownAddressError` where it is not attached, `AddressInUseError` where
        another sandbox holds it, `DuplicateError` where the sandbox holds another.
        Cost: one pass over the slots.
        """
        cdef int kind, slot, handle = -1
        cdef uint64_t high, low
        cdef uint32_t offset, number
        cdef int64_t now = c_now(now_ns)
        self._wait()
        c_parse(address, &kind, &high, &low)
        self._locate(address, kind, high, low, &handle, &kind, &slot, &offset)
        number = self._c_find(sandbox.c_digest)
        if number != NONE:
            if number == self._c_record_at(handle, kind, slot, offset):
                return self._assignment(number)
            raise DuplicateError("assignment of", repr(sandbox))
        number = self._c_record_at(handle, kind, slot, offset)
        if number != NONE and self.records[number].state == HELD:
            raise AddressInUseError(address)
        self._reserve(1)
        if kind == WIDE:
            self._widen(handle, slot, offset)
        number = self._c_take(handle, kind, slot, offset, sandbox.c_digest,
                              self._c_probe(sandbox.c_digest), now)
        self._own(number, sandbox, pod)
        return self._assignment(number)

    def cool(self, str address not None, int64_t released_ns):
        """Let a free address cool from `released_ns` on: what a restart may take over.

        Raises `UnknownAddressError`, and `AddressInUseError` where it is held or cooling.
        Cost: one pass over the slots.
        """
        cdef int kind, slot, handle = -1
        cdef uint64_t high, low
        cdef uint32_t offset, number
        self._wait()
        c_parse(address, &kind, &high, &low)
        self._locate(address, kind, high, low, &handle, &kind, &slot, &offset)
        number = self._c_record_at(handle, kind, slot, offset)
        if number != NONE and self.records[number].state != COOLED:
            raise AddressInUseError(address)
        self._reserve(1)
        if kind == WIDE:
            self._widen(handle, slot, offset)
        number = self._c_record_for(handle, kind, slot, offset)
        self._c_cool(number, released_ns)
        self._c_refresh(handle)

    def release(self, Sandbox sandbox not None, now_ns=None):
        """Release what a sandbox holds and let it cool; return what it held.

        Raises `UnknownSandboxError` where it holds nothing. Cost: constant.
        """
        cdef uint32_t number, position
        cdef Assignment released
        cdef int64_t now = c_now(now_ns)
        if self.busy:
            self._wait()
        position = self._c_probe(sandbox.c_digest)
        number = self.table[position] - 1
        if number == NONE:
            raise UnknownSandboxError(sandbox)
        released = self._assignment(number)
        self._c_let_cool(position, now)
        c_forget(&self.records[number])
        return released

    def find(self, Sandbox sandbox not None):
        """Return what a sandbox holds, or None. Cost: constant."""
        cdef uint32_t number
        self._wait()
        number = self._c_find(sandbox.c_digest)
        return None if number == NONE else self._assignment(number)

    def find_address(self, str address not None):
        """Return the assignment of an address, or None. Cost: one pass over the slots."""
        cdef int kind, slot, handle = -1
        cdef uint64_t high, low
        cdef uint32_t offset, number
        self._wait()
        c_parse(address, &kind, &high, &low)
        if not self._c_locate(kind, high, low, &handle, &kind, &slot, &offset):
            return None
        number = self._c_record_at(handle, kind, slot, offset)
        if number == NONE or self.records[number].state != HELD:
            return None
        return self._assignment(number)

    def assignments(self):
        """Return an iterator over all assignments as they are now."""
        cdef uint32_t number
        self._wait()
        return iter([self._assignment(number) for number in range(self.n_records)
                     if self.records[number].state == HELD])

    def used_addresses(self, str eni_id not None):
        """Return the addresses of an ENI that are or were held, in address order.

        What the agent's /v1/enis endpoint lists. Cost: one pass over the records.
        """
        cdef int handle
        cdef uint32_t number
        cdef Record *record
        cdef Assignment place
        cdef UsedAddress used
        cdef list found = []
        self._wait()
        handle = self._handle(eni_id)
        for number in range(self.n_records):
            record = &self.records[number]
            if record.state == UNUSED or record.eni != handle:
                continue
            place = self._assignment(number)
            used = UsedAddress.__new__(UsedAddress)
            used.address = place.address
            used.prefix = place.prefix
            used.sandbox = place.sandbox if record.state == HELD else None
            used.pod = place.pod if record.state == HELD else None
            used.assigned_ns = record.assigned_ns
            used.released_ns = record.released_ns
            found.append((place.c_kind, place.c_high, place.c_low, used))
        found.sort(key=lambda entry: entry[:3])
        return [entry[3] for entry in found]

    # --- batches ----------------------------------------------------------------------

    def assign_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Assign an address to each of n sandboxes, without the GIL.

        `digests` is (n, 2) uint64, a row a sandbox's digest. Returns (n, 2) uint64: each
        address as its high and low 64 bits; with `partial`, rows that found nothing are
        all ones. Without `partial` it is all or none: `PoolExhaustedError`, and nothing
        has changed. Sandboxes that hold an address keep it. Cost: constant a row.
        """
        import numpy as np

        cdef int64_t now = c_now(now_ns)
        cdef const uint64_t[:, ::1] wanted = c_rows(np, digests)
        cdef Py_ssize_t n = wanted.shape[0], row
        cdef uint64_t[:, ::1] given = np.empty((n, 2), dtype=np.uint64)
        cdef uint32_t number
        cdef int answer = DONE
        self._hold()
        try:
            self._c_expire(now)
            # Where there is one for every row, nobody needs to know who holds one already.
            if not partial and n > self._c_n_assignable() < self._n_missing(wanted):
                raise self._exhausted(now)
            with nogil:
                for row in range(n):
                    if self.n_unused == 0 or self.n_unused_blocks == 0 or (
                            (self.n_held + 1) * 2 > self.mask):
                        answer = self.c_reserve(
                            <uint32_t> min(n - row, <Py_ssize_t> self._c_n_assignable() + 1))
                        if answer != DONE:
                            break
                    answer = self.c_assign(&wanted[row, 0], now, &number)
                    if answer >= DONE:
                        self._c_high_low(number, &given[row, 0], &given[row, 1])
                    elif answer == EXHAUSTED:
                        given[row, 0] = given[row, 1] = <uint64_t> -1
                    else:
                        break
        finally:
            self._let_go()
        if answer == NO_MEMORY:
            raise MemoryError(f"after {row} of {n} rows, which hold their addresses")
        return np.asarray(given)

    def release_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Release what each of n sandboxes holds, without the GIL.

        `digests` and the result as for `assign_many`; with `partial`, rows of sandboxes
        that hold nothing are all ones. Without it: `UnknownSandboxError` for the first of
        these, or for one that comes twice, and nothing has changed.
        """
        import numpy as np

        cdef int64_t now = c_now(now_ns)
        cdef const uint64_t[:, ::1] wanted = c_rows(np, digests)
        cdef Py_ssize_t n = wanted.shape[0], row
        cdef uint64_t[:, ::1] freed = np.empty((n, 2), dtype=np.uint64)
        cdef uint32_t[::1] numbers = np.empty(n, dtype=np.uint32)
        self._hold()
        try:
            if not partial:
                row = self._c_first_unknown(wanted, numbers)
                if row < n:
                    raise UnknownSandboxError(Sandbox.from_digest(
                        PyBytes_FromStringAndSize(<const char*> &wanted[row, 0], 16)))
            with nogil:
                for row in range(n):
                    if self.c_release(&wanted[row, 0], now, &numbers[row]) == DONE:
                        self._c_high_low(numbers[row], &freed[row, 0], &freed[row, 1])
                    else:
                        freed[row, 0] = freed[row, 1] = <uint64_t> -1
                        numbers[row] = NONE
            for row in range(n):
                if numbers[row] != NONE and self.records[numbers[row]].state != HELD:
                    c_forget(&self.records[numbers[row]])
        finally:
            self._let_go()
        return np.asarray(freed)

    cdef Py_ssize_t _n_missing(self, const uint64_t[:, ::1] wanted) except -1:
        """Return how many different sandboxes of a batch hold no address yet."""
        cdef Py_ssize_t row
        return len({(wanted[row, 0], wanted[row, 1]) for row in range(wanted.shape[0])
                    if self._c_find(&wanted[row, 0]) == NONE})

    cdef Py_ssize_t _c_first_unknown(self, const uint64_t[:, ::1] wanted,
                                     uint32_t[::1] numbers) noexcept nogil:
        """Return the first row that holds nothing or comes twice; n where there is none."""
        cdef Py_ssize_t row, first = 0
        while first < wanted.shape[0]:
            numbers[first] = self._c_find(&wanted[first, 0])
            if numbers[first] == NONE or self.records[numbers[first]].state != HELD:
                break
            self.records[numbers[first]].state = UNUSED   # seen; undone below
            first += 1
        for row in range(first):
            self.records[numbers[row]].state = HELD
        return first

    cdef int64_t _c_n_assignable(self) noexcept nogil:
        """Return how many addresses could be assigned now."""
        cdef int64_t n = 0
        cdef int rank
        for rank in range(self.n_enis):
            n += self._c_n_free(self.ports[self.order[rank]])
        return n

    # --- one assignment, at the C level -------------------------------------------------

    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint32_t *number) noexcept nogil:
        """Assign to a digest; `number` is its record. Needs `c_reserve` before.

        Returns DONE, KEPT where the digest holds one already, EXHAUSTED, or NO_MEMORY
        where an IPv6 window cannot grow.
        """
        cdef int handle, kind, slot
        cdef int64_t offset
        cdef uint32_t position = self._c_probe(digest)
        number[0] = self.table[position] - 1
        if number[0] != NONE:
            return KEPT
        if self.oldest != NONE:
            self._c_expire(now_ns)
        if not self.open_ranks:
            return EXHAUSTED
        handle = self._c_choose_eni()
        kind = self._c_choose_kind(self.ports[handle])
        slot = self._c_choose_slot(self.ports[handle], kind)
        offset = self._c_choose_offset(self.ports[handle], kind, slot)
        if offset < 0:
            return NO_MEMORY
        number[0] = self._c_take(handle, kind, slot, <uint32_t> offset, digest, position, now_ns)
        return DONE

    cdef uint32_t _c_take(self, int handle, int kind, int slot, uint32_t offset,
                          const uint64_t *digest, uint32_t position,
                          int64_t now_ns) noexcept nogil:
        """Give an address that nobody holds to a digest; return its record."""
        cdef uint32_t number = self._c_record_for(handle, kind, slot, offset)
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[handle]
        if record.state == COOLING:
            self._c_unqueue(number)
            c_count_cooling(eni, kind, slot, -1)
        else:
            c_close(eni, kind, slot, offset)
        record.digest[0] = digest[0]
        record.digest[1] = digest[1]
        record.assigned_ns = now_ns
        record.released_ns = 0
        record.state = HELD
        self._c_hang(number, position)
        c_count_held(eni, kind, slot, 1)
        if not eni.open[kind]:
            self._c_refresh(handle)
        return number

    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint32_t *number) noexcept nogil:
        """Release what a digest holds; `number` is the record that now cools.

        Returns DONE or UNKNOWN. The objects that the record owned stay with it until
        `c_forget`, which needs the GIL, or until it is assigned again.
        """
        cdef uint32_t position = self._c_probe(digest)
        number[0] = self.table[position] - 1
        if number[0] == NONE:
            return UNKNOWN
        self._c_let_cool(position, now_ns)
        return DONE

    cdef void _c_let_cool(self, uint32_t position, int64_t now_ns) noexcept nogil:
        """Take the record at a place of the table from its sandbox, and let it cool."""
        cdef uint32_t number = self.table[position] - 1
        cdef Record *record = &self.records[number]
        self._c_unhang(position)
        c_count_held(self.ports[record.eni], record.kind, record.slot, -1)
        self._c_cool_closed(number, now_ns)

    cdef void _c_cool(self, uint32_t number, int64_t released_ns) noexcept nogil:
        """Let an open address cool."""
        c_close(self.ports[self.records[number].eni], self.records[number].kind,
                self.records[number].slot, self.records[number].offset)
        self._c_cool_closed(number, released_ns)

    cdef void _c_cool_closed(self, uint32_t number, int64_t released_ns) noexcept nogil:
        """Let an address cool that is not open: one that was held until now."""
        cdef Record *record = &self.records[number]
        record.released_ns = released_ns
        record.state = COOLING
        c_count_cooling(self.ports[record.eni], record.kind, record.slot, 1)
        self._c_queue(number)

    cdef void _c_expire(self, int64_t now_ns) noexcept nogil:
        """Open the addresses whose cooldown has passed. Amortised constant."""
        cdef Record *record
        cdef EniSlots *eni
        cdef uint32_t number
        cdef bint opens
        while self.oldest != NONE:
            number = self.oldest
            record = &self.records[number]
            if now_ns - record.released_ns <= self._cooldown_ns:
                return
            self._c_unqueue(number)
            record.state = COOLED
            eni = self.ports[record.eni]
            c_count_cooling(eni, record.kind, record.slot, -1)
            opens = eni.open[record.kind] == 0
            c_open(eni, record.kind, record.slot, record.offset)
            if opens:
                self._c_refresh(record.eni)

    cdef object _exhausted(self, int64_t now_ns):
        cdef PoolStats stats = self._stats(now_ns, -1)
        return PoolExhaustedError(
            total=stats.total, assigned=stats.assigned, cooling=stats.cooling)

    cdef int _own(self, uint32_t number, Sandbox sandbox, str pod) except -1:
        """Let a record keep the objects of its new sandbox."""
        cdef Record *record = &self.records[number]
        c_forget(record)
        record.sandbox = <PyObject*> sandbox
        Py_INCREF(sandbox)
        if pod is not None:
            record.pod = <PyObject*> pod
            Py_INCREF(pod)
        return 0

    cdef Assignment _assignment(self, uint32_t number):
        """Return the assignment, or the former one, of a record."""
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[record.eni]
        cdef Assignment value = Assignment.__new__(Assignment)
        if c_owns(record):
            value.sandbox = <Sandbox> record.sandbox
            value.pod = <object> record.pod if record.pod != NULL else None
        else:
            value.sandbox = Sandbox.__new__(Sandbox)
            value.sandbox.container_id = value.sandbox.ifname = value.sandbox.network = ""
            value.sandbox.c_digest[0] = record.digest[0]
            value.sandbox.c_digest[1] = record.digest[1]
        value.eni_id = <str> eni.eni_id
        value.device_number = eni.device_number
        value.assigned_ns = record.assigned_ns
        value.c_kind = record.kind
        self._c_high_low(number, &value.c_high, &value.c_low)
        return value

    # --- where the next address comes from --------------------------------------------

    cdef int _c_choose_eni(self) noexcept nogil:
        """Return an ENI with an open slot; there is one."""
        cdef uint64_t ranks = self.open_ranks
        cdef int64_t most = -1, n_free
        cdef int best = 0
        if self._placement == ARBITRARY:
            ranks = c_drop_lowest(ranks, self._c_below(popcount(ranks)))
        elif self._placement == SPREAD:
            while ranks:
                n_free = self._c_n_free(self.ports[self.order[first_set(ranks)]])
                if n_free > most:
                    best, most = first_set(ranks), n_free
                ranks &= ranks - 1
            return self.order[best]
        return self.order[first_set(ranks)]

    cdef int64_t _c_n_free(self, EniSlots *eni) noexcept nogil:
        """Return how many addresses of an ENI could be assigned now."""
        cdef int64_t n = 0
        cdef int kind
        if eni.excluded:
            return 0
        for kind in range(N_KINDS):
            if self.kinds >> kind & 1:
                n += (c_size(kind) * popcount(eni.attached[kind])
                      - eni.n_held[kind] - eni.n_cooling[kind])
        return n

    cdef int _c_choose_kind(self, EniSlots *eni) noexcept nogil:
        """Return the kind to assign from: prefixes first where both count."""
        cdef int kind
        for kind in range(N_KINDS - 1, 0, -1):
            if self.kinds >> kind & 1 and eni.open[kind]:
                return kind
        return LONE

    cdef int _c_choose_slot(self, EniSlots *eni, int kind) noexcept nogil:
        cdef uint64_t slots = eni.open[kind]
        if self._placement == ARBITRARY:
            slots = c_drop_lowest(slots, self._c_below(popcount(slots)))
        elif self._placement == PACK and kind == PREFIX:
            slots = eni.prefixes.level[first_set(eni.prefixes.levels)]
        return first_set(slots)

    cdef int64_t _c_choose_offset(self, EniSlots *eni, int kind, int slot) noexcept nogil:
        """Return the lowest address; arbitrary ones first where a cooldown has passed.

        An IPv6 window that is full doubles; -1 where there is no memory for that.
        """
        cdef Prefix *prefix
        if kind == LONE:
            return 0
        if kind == WIDE:
            return c_lowest_in_wide(&eni.wides.slot[slot])
        prefix = &eni.prefixes.slot[slot]
        if self._placement == ARBITRARY and prefix.free & prefix.used:
            return first_set(prefix.free & prefix.used)
        return first_set(prefix.free)

    cdef int _c_below(self, int n) noexcept nogil:
        """Return a number from 0 to n - 1 (xorshift; n is at most 64)."""
        self._random ^= self._random << 13
        self._random ^= self._random >> 7
        self._random ^= self._random << 17
        return <int> ((self._random >> 32) * <uint64_t> n >> 32)

    # --- records ------------------------------------------------------------------------

    cdef int _reserve(self, uint32_t n) except -1:
        if self.c_reserve(n) != DONE:
            raise MemoryError
        return 0

    cdef int c_reserve(self, uint32_t n) noexcept nogil:
        """Make sure that `n` more addresses can be assigned without asking for memory.

        Returns DONE or NO_MEMORY; an IPv6 window may still have to grow.
        """
        cdef uint32_t capacity, number, size
        cdef int64_t position
        cdef void *grown
        if self.n_unused < n:
            capacity = self.n_records + self.n_records // 2 + n + 8
            grown = PyMem_RawRealloc(self.records, capacity * sizeof(Record))
            if grown == NULL:
                return NO_MEMORY
            self.records = <Record*> grown
            memset(&self.records[self.n_records], 0,
                   (capacity - self.n_records) * sizeof(Record))
            # Linked so that the lowest number is used first.
            for position in range(<int64_t> capacity - 1, <int64_t> self.n_records - 1, -1):
                number = <uint32_t> position
                self.records[number].after = self.unused
                self.unused = number
            self.n_unused += capacity - self.n_records
            self.n_records = capacity
        if self.n_unused_blocks < min(n, <uint32_t> N_ENIS * N_SLOTS):
            capacity = self.n_blocks + self.n_blocks // 2 + min(n, 64) + 8
            grown = PyMem_RawRealloc(self.blocks, capacity * sizeof(self.blocks[0]))
            if grown == NULL:
                return NO_MEMORY
            self.blocks = <uint32_t (*)[PER_PREFIX]> grown
            for position in range(<int64_t> capacity - 1, <int64_t> self.n_blocks - 1, -1):
                number = <uint32_t> position
                self.blocks[number][0] = self.unused_block
                self.unused_block = number
            self.n_unused_blocks += capacity - self.n_blocks
            self.n_blocks = capacity
        size = self.mask + 1
        while (self.n_held + n) * 2 > size:
            size *= 2
        return DONE if size == self.mask + 1 else self._c_rehash(size)

    cdef int _c_rehash(self, uint32_t size) noexcept nogil:
        cdef uint32_t *table = <uint32_t*> PyMem_RawCalloc(size, sizeof(uint32_t))
        cdef uint32_t number
        if table == NULL:
            return NO_MEMORY
        PyMem_RawFree(self.table)
        self.table = table
        self.mask = size - 1
        self.n_held = 0
        for number in range(self.n_records):
            if self.records[number].state == HELD:
                self._c_hang(number, self._c_probe(self.records[number].digest))
        return DONE

    cdef uint32_t _c_record_for(self, int handle, int kind, int slot,
                                uint32_t offset) noexcept nogil:
        """Return the record of an address, taking one that was reserved if it has none."""
        cdef EniSlots *eni = self.ports[handle]
        cdef uint32_t number = self._c_record_at(handle, kind, slot, offset), block
        cdef Record *record
        if number != NONE:
            return number
        number = self.unused
        record = &self.records[number]
        self.unused = record.after
        self.n_unused -= 1
        record.eni = handle
        record.kind = kind
        record.slot = slot
        record.offset = offset
        if kind == LONE:
            eni.lone[slot].record = number
        elif kind == WIDE:
            eni.wides.slot[slot].record[offset] = number
        else:
            block = eni.prefixes.slot[slot].block
            if block == NONE:
                block = self.unused_block
                self.unused_block = self.blocks[block][0]
                self.n_unused_blocks -= 1
                memset(self.blocks[block], 0xFF, sizeof(self.blocks[block]))
                eni.prefixes.slot[slot].block = block
            self.blocks[block][offset] = number
            eni.prefixes.slot[slot].used |= <uint16_t> (1 << offset)
        return number

    cdef uint32_t _c_record_at(self, int handle, int kind, int slot,
                               uint32_t offset) noexcept nogil:
        """Return the record of an address, NONE where it was never used."""
        cdef EniSlots *eni = self.ports[handle]
        cdef uint32_t block
        if kind == LONE:
            return eni.lone[slot].record
        if kind == WIDE:
            if offset >= eni.wides.slot[slot].n_words * 64:
                return NONE
            return eni.wides.slot[slot].record[offset]
        block = eni.prefixes.slot[slot].block
        return NONE if block == NONE else self.blocks[block][offset]

    cdef int _locate(self, str text, int family, uint64_t high, uint64_t low, int *handle,
                     int *kind, int *slot, uint32_t *offset) except -1:
        if not self._c_locate(family, high, low, handle, kind, slot, offset):
            raise UnknownAddressError(text, "any ENI of the store")
        return 0

    cdef bint _c_locate(self, int family, uint64_t high, uint64_t low, int *handle,
                        int *kind, int *slot, uint32_t *offset) noexcept nogil:
        """Find where an address is attached; False where it is not.

        An IPv6 address beyond the largest window counts as not attached.
        """
        cdef int rank
        cdef EniSlots *eni
        for rank in range(self.n_enis):
            handle[0] = self.order[rank]
            eni = self.ports[handle[0]]
            if family == WIDE:
                kind[0] = WIDE
                slot[0] = c_slot_of(eni, WIDE, high, low & ~WIDE_MASK)
                if slot[0] >= 0 and (low & WIDE_MASK) < <uint64_t> MOST_WORDS * 64:
                    offset[0] = <uint32_t> (low & WIDE_MASK)
                    return True
                continue
            kind[0] = LONE
            slot[0] = c_slot_of(eni, LONE, 0, low)
            offset[0] = 0
            if slot[0] >= 0:
                return True
            kind[0] = PREFIX
            slot[0] = c_slot_of(eni, PREFIX, 0, low & ~<uint64_t> 15)
            offset[0] = <uint32_t> low & 15
            if slot[0] >= 0:
                return True
        return False

    cdef int _widen(self, int handle, int slot, uint32_t offset) except -1:
        """Let an IPv6 window reach an offset."""
        cdef Wide *wide = &self.ports[handle].wides.slot[slot]
        while offset >= wide.n_words * 64:
            if c_double(wide) < 0:
                raise MemoryError
        return 0

    cdef void _c_high_low(self, uint32_t number, uint64_t *high, uint64_t *low) noexcept nogil:
        """Write the address of a record."""
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[record.eni]
        high[0] = 0
        if record.kind == LONE:
            low[0] = eni.lone[record.slot].base
        elif record.kind == PREFIX:
            low[0] = eni.prefixes.slot[record.slot].base + record.offset
        else:
            high[0] = eni.wides.slot[record.slot].high
            low[0] = eni.wides.slot[record.slot].low + record.offset

    # --- the table of held records: linear probing, no tombstones ---------------------

    cdef uint32_t _c_probe(self, const uint64_t *digest) noexcept nogil:
        """Return where a digest stands in the table, or the empty place where it would."""
        cdef uint32_t position = <uint32_t> digest[0] & self.mask
        cdef Record *record
        while self.table[position]:
            record = &self.records[self.table[position] - 1]
            if record.digest[0] == digest[0] and record.digest[1] == digest[1]:
                break
            position = (position + 1) & self.mask
        return position

    cdef uint32_t _c_find(self, const uint64_t *digest) noexcept nogil:
        """Return the record that a digest holds, or NONE: no entry is 0, which is NONE + 1."""
        return self.table[self._c_probe(digest)] - 1

    cdef void _c_hang(self, uint32_t number, uint32_t position) noexcept nogil:
        """Put a record into the table, at the place that its probe found empty."""
        self.table[position] = number + 1
        self.n_held += 1

    cdef void _c_unhang(self, uint32_t hole) noexcept nogil:
        """Empty a place; records behind it move up, so that no probe stops early."""
        cdef uint32_t position = hole, home
        while True:
            position = (position + 1) & self.mask
            if not self.table[position]:
                break
            home = <uint32_t> self.records[self.table[position] - 1].digest[0] & self.mask
            if ((position - home) & self.mask) >= ((position - hole) & self.mask):
                self.table[hole] = self.table[position]
                hole = position
        self.table[hole] = 0
        self.n_held -= 1

    # --- the list of cooling records ------------------------------------------------------

    cdef void _c_queue(self, uint32_t number) noexcept nogil:
        """Put a record into the list by its time of release: nearly always last."""
        cdef Record *record = &self.records[number]
        cdef uint32_t before = self.newest
        while before != NONE and self.records[before].released_ns > record.released_ns:
            before = self.records[before].before
        record.before = before
        if before == NONE:
            record.after = self.oldest
            self.oldest = number
        else:
            record.after = self.records[before].after
            self.records[before].after = number
        if record.after == NONE:
            self.newest = number
        else:
            self.records[record.after].before = number

    cdef void _c_unqueue(self, uint32_t number) noexcept nogil:
        """Take a record out of the list."""
        cdef Record *record = &self.records[number]
        if record.before == NONE:
            self.oldest = record.after
        else:
            self.records[record.before].after = record.after
        if record.after == NONE:
            self.newest = record.before
        else:
            self.records[record.after].before = record.before

    # --- questions ------------------------------------------------------------------------

    def stats(self, now_ns=None, network_card=None):
        """Return the pool's counts, of one network card or of all. Cost: O(ENIs)."""
        self._wait()
        return self._stats(c_now(now_ns), -1 if network_card is None else network_card)

    cdef object _stats(self, int64_t now_ns, int network_card):
        cdef PoolStats value = PoolStats.__new__(PoolStats)
        cdef EniSlots *eni
        cdef int rank
        self._c_expire(now_ns)
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            if network_card >= 0 and eni.network_card != network_card:
                continue
            value.enis += 1
            value.prefixes += popcount(eni.attached[PREFIX]) + popcount(eni.attached[WIDE])
            value.free_prefixes += popcount(eni.idle[PREFIX]) + popcount(eni.idle[WIDE])
            if not eni.excluded:
                value.total += self._c_total(eni)
                value.assigned += self._c_sum(eni.n_held)
                value.cooling += self._c_sum(eni.n_cooling)
        return value

    cdef int64_t _c_total(self, EniSlots *eni) noexcept nogil:
        """Return how many addresses of the mode's own kinds an ENI has."""
        cdef int64_t total = 0
        cdef int kind
        for kind in range(N_KINDS):
            if self.kinds >> kind & 1:
                total += c_size(kind) * popcount(eni.attached[kind])
        return total

    cdef int64_t _c_sum(self, uint32_t *counts) noexcept nogil:
        """Return the sum of a count over the mode's own kinds."""
        cdef int64_t total = 0
        cdef int kind
        for kind in range(N_KINDS):
            if self.kinds >> kind & 1:
                total += counts[kind]
        return total

    def eni_stats(self, str eni_id not None, now_ns=None):
        """Return one ENI's counts. Raises `UnknownEniError`. Cost: constant."""
        cdef int handle
        cdef EniSlots *eni
        cdef EniStats value
        self._wait()
        handle = self._handle(eni_id)
        self._c_expire(c_now(now_ns))
        eni = self.ports[handle]
        value = EniStats.__new__(EniStats)
        value.eni = self._eni(handle)
        value.slots_used = c_n_slots(eni)
        value.addresses = popcount(eni.attached[LONE])
        value.prefixes = value.slots_used - value.addresses
        value.free_prefixes = popcount(eni.idle[PREFIX]) + popcount(eni.idle[WIDE])
        value.total = self._c_total(eni)
        value.assigned = self._c_sum(eni.n_held)
        value.cooling = self._c_sum(eni.n_cooling)
        value.assigned_any = c_any(eni.n_held)
        value.cooling_any = c_any(eni.n_cooling)
        return value

    def next_cool_ns(self, now_ns=None):
        """Return when the next cooling address may be assigned, None if none cools."""
        self._wait()
        self._c_expire(c_now(now_ns))
        if self.oldest == NONE:
            return None
        return self.records[self.oldest].released_ns + self._cooldown_ns + 1

    def growable_enis(self, int max_slots):
        """Return the ENIs with fewer than `max_slots` slots in use, excluded ones left out."""
        cdef int rank
        cdef EniSlots *eni
        cdef list found = []
        self._wait()
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            if not eni.excluded and c_n_slots(eni) < max_slots:
                found.append(<str> eni.eni_id)
        return found

    def find_freeable_eni(self, *, int64_t warm_ip, int64_t minimum_ip, int64_t warm_prefix,
                          double min_age_s=60, now_ns=None):
        """Find an ENI that can be freed under these targets, and why each other cannot.

        In prefix mode the first two are rounded up to whole prefixes; `warm_prefix` counts
        there only. Nothing is changed. Cost: O(ENIs). Source: pool-rules section 5.3;
        getDeletableENI of pkg/ipamd/datastore/data_store.go.
        """
        cdef int64_t now, n_free = 0, total = 0, n_prefixes = 0
        cdef int rank, chosen
        cdef EniSlots *eni
        cdef FreeEniAnswer answer
        cdef list candidates = []
        cdef dict reasons = {}
        cdef str why
        self._wait()
        now = c_now(now_ns)
        self._c_expire(now)
        if self.kinds == 1 << PREFIX:
            warm_ip = (warm_ip + PER_PREFIX - 1) // PER_PREFIX * PER_PREFIX
            minimum_ip = (minimum_ip + PER_PREFIX - 1) // PER_PREFIX * PER_PREFIX
        else:
            warm_prefix = 0
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            n_prefixes += popcount(eni.idle[PREFIX])
            if not eni.excluded:
                total += self._c_total(eni)
                n_free += self._c_total(eni) - self._c_sum(eni.n_held)
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            why = self._why_kept(eni, now - <int64_t> (min_age_s * 1e9), warm_ip, minimum_ip,
                                 warm_prefix, n_free, total, n_prefixes)
            if why is None:
                candidates.append(<str> eni.eni_id)
            else:
                reasons[<str> eni.eni_id] = why
        answer = FreeEniAnswer.__new__(FreeEniAnswer)
        answer.candidates = tuple(candidates)
        answer.reasons = reasons
        if candidates:
            chosen = len(candidates) - 1
            if self._placement == ARBITRARY:
                chosen = self._c_below(len(candidates))
            answer.eni_id = candidates[chosen]
        return answer

    cdef str _why_kept(self, EniSlots *eni, int64_t born_by, int64_t warm_ip,
                       int64_t minimum_ip, int64_t warm_prefix, int64_t n_free,
                       int64_t total, int64_t n_prefixes):
        """Return why an ENI cannot be freed; None: it can."""
        if eni.primary:
            return "primary"
        if eni.trunk:
            return "trunk"
        if eni.efa:
            return "efa"
        if eni.created_ns > born_by:
            return "too young"
        if c_any(eni.n_held):
            return "has pods"
        if c_any(eni.n_cooling):
            return "cooling"
        if not eni.excluded:
            n_free -= self._c_total(eni)
            total -= self._c_total(eni)
        if warm_ip > 0 and n_free < warm_ip:
            return "needed for WARM_IP_TARGET"
        if minimum_ip > 0 and total < minimum_ip:
            return "needed for MINIMUM_IP_TARGET"
        if warm_prefix > 0 and n_prefixes - popcount(eni.idle[PREFIX]) < warm_prefix:
            return "needed for WARM_PREFIX_TARGET"
        return None

    def free_counts(self):
        """Return how many addresses each slot of the mode's own kinds can give now.

        uint32, by ENI (lowest device number first), kind and slot.
        """
        import numpy as np

        cdef int rank, kind, slot
        cdef uint64_t slots
        cdef EniSlots *eni
        cdef list counts = []
        self._wait()
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            for kind in range(N_KINDS):
                slots = eni.attached[kind] if self.kinds >> kind & 1 else 0
                while slots:
                    slot = first_set(slots)
                    slots &= slots - 1
                    counts.append(0 if eni.excluded else
                                  c_size(kind) - c_held_in_slot(eni, kind, slot)
                                  - c_cooling_in_slot(eni, kind, slot))
        return np.array(counts, dtype=np.uint32)

    def assignment_ages_ns(self, now_ns=None):
        """Return how long ago each assignment was made, int64, in the order of `assignments`."""
        import numpy as np

        cdef int64_t now = c_now(now_ns)
        cdef int64_t[::1] ages
        cdef uint32_t number
        cdef Py_ssize_t row = 0
        self._wait()
        ages = np.empty(self.n_held, dtype=np.int64)
        for number in range(self.n_records):
            if self.records[number].state == HELD:
                ages[row] = now - self.records[number].assigned_ns
                row += 1
        return np.asarray(ages)

    # --- the whole state --------------------------------------------------------------------

    def snapshot(self):
        """Return the whole state as bytes, cooldowns included; `restore` reads it.

        Times are kept as they are: on the monotonic clock, good until the next boot.
        Cost: one pass over slots and records.
        """
        cdef uint32_t number
        cdef Record *record
        cdef Assignment place
        cdef list enis = [], held = [], past = []
        self._wait()
        for eni in self.enis():
            enis.append([*eni._astuple(), self.addresses(eni.eni_id), self.prefixes(eni.eni_id)])
        for number in range(self.n_records):
            record = &self.records[number]
            if record.state == UNUSED:
                continue
            place = self._assignment(number)
            if record.state == HELD:
                held.append([place.address, place.sandbox.container_id, place.sandbox.ifname,
                             place.sandbox.network, place.sandbox.digest.hex(), place.pod,
                             record.assigned_ns])
            else:
                past.append([place.address, record.assigned_ns, record.released_ns,
                             record.state == COOLING])
        past.sort(key=lambda entry: entry[2])
        text = json.dumps({
            "mode": self.mode,
            "cooldown_ns": self._cooldown_ns,
            "placement": self.placement,
            "random": self._random,
            "enis": enis,
            "held": held,
            "past": past,
        }, separators=(",", ":")).encode()
        return SNAPSHOT_HEAD + zlib.crc32(text).to_bytes(4, "big") + text

    @classmethod
    def restore(cls, bytes snapshot not None):
        """Return the store that a snapshot was taken of.

        Raises `SnapshotError` where it is none, is damaged, or is of another version.
        """
        cdef DataStore store
        head, check, text = snapshot[:8], snapshot[8:12], snapshot[12:]
        if head != SNAPSHOT_HEAD:
            raise SnapshotError(f"not a snapshot of this version: it begins with {head!r}")
        if zlib.crc32(text) != int.from_bytes(check, "big"):
            raise SnapshotError("the snapshot is damaged: its checksum does not match")
        try:
            state = json.loads(text)
            store = cls(state["mode"], placement=state["placement"])
            store._cooldown_ns = state["cooldown_ns"]
            store._fill(state)
            store._random = state["random"]
        except (KeyError, TypeError, ValueError, OverflowError, IpamError) as error:
            raise SnapshotError(f"the snapshot does not hold a store: {error}") from error
        return store

    cdef _fill(self, dict state):
        cdef int kind, slot, handle = -1
        cdef uint64_t high, low
        cdef uint32_t offset, number
        names = Eni._fields
        for *fields, addresses, prefixes in state["enis"]:
            described = dict(zip(names, fields))
            eni_id = described["eni_id"]
            self.add_eni(**described)
            for address in addresses:
                self.add_address(eni_id, address)
            for prefix in prefixes:
                self.add_prefix(eni_id, prefix)
        for address, container_id, ifname, network, digest, pod, assigned_ns in state["held"]:
            sandbox = (Sandbox(container_id, ifname, network) if network
                       else Sandbox.from_digest(bytes.fromhex(digest)))
            self.adopt(sandbox, address, pod, assigned_ns)
        for address, assigned_ns, released_ns, cooling in state["past"]:
            self.cool(address, released_ns)
            c_parse(address, &kind, &high, &low)
            self._c_locate(kind, high, low, &handle, &kind, &slot, &offset)
            number = self._c_record_at(handle, kind, slot, offset)
            self.records[number].assigned_ns = assigned_ns
            if not cooling:
                self._c_unqueue(number)
                self.records[number].state = COOLED
                c_count_cooling(self.ports[handle], kind, slot, -1)
                c_open(self.ports[handle], kind, slot, offset)
                self._c_refresh(handle)

    # --- proof --------------------------------------------------------------------------------

    def _check(self):
        """Prove every invariant from scratch; `AssertionError` names what does not hold."""
        self._wait()
        self._check_ranks()
        states = self._check_records()
        self._check_slots(states)
        self._check_table()
        self._check_cooling()

    cdef _check_ranks(self):
        """ENIs are ordered, found by id, and open where they say so."""
        cdef int rank, kind
        cdef EniSlots *eni
        _holds(len(self._by_id) == self.n_enis, "every ENI is found by its id")
        _holds(sum([self.ports[h] != NULL for h in range(N_ENIS)]) == self.n_enis, "ENI count")
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            _holds(eni != NULL and eni.rank == rank, f"rank {rank}")
            _holds(self._by_id[<str> eni.eni_id] == self.order[rank], "ENI by id")
            _holds(not rank or self.ports[self.order[rank - 1]].device_number
                   <= eni.device_number, "ENIs in order of device number")
            opens = not eni.excluded and any(
                [eni.open[kind] for kind in range(N_KINDS) if self.kinds >> kind & 1])
            _holds(bool(self.open_ranks & bit(rank)) == opens, f"open bit of rank {rank}")
        _holds(not self.n_enis == 0 or not self.open_ranks, "no ENI is open where none is")

    cdef dict _check_records(self):
        """Records are unused, or belong to one attached address; return states by place."""
        cdef uint32_t number, n_unused = 0
        cdef Record *record
        cdef dict states = {}
        number = self.unused
        while number != NONE:
            _holds(self.records[number].state == UNUSED, "an unused record is not in use")
            number = self.records[number].after
            n_unused += 1
        _holds(n_unused == self.n_unused, "count of unused records")
        for number in range(self.n_records):
            record = &self.records[number]
            if record.state == UNUSED:
                continue
            place = (record.eni, record.kind, record.slot, record.offset)
            _holds(place not in states, f"one record for {place}")
            states[place] = record.state
            _holds(self.ports[record.eni] != NULL
                   and (self.ports[record.eni].attached[record.kind] & bit(record.slot)) != 0,
                   f"the record at {place} is of an attached slot")
            _holds(self._c_record_at(record.eni, record.kind, record.slot, record.offset)
                   == number, f"the slot of {place} knows its record")
        _holds(len(states) + n_unused == self.n_records, "every record is used or unused")
        return states

    cdef _check_slots(self, dict states):
        """Words, levels and counts of each ENI follow from the states of its addresses."""
        cdef int rank, kind, slot
        cdef EniSlots *eni
        cdef list levels
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            totals = {HELD: [0] * N_KINDS, COOLING: [0] * N_KINDS}
            levels = [0] * (PER_PREFIX + 1)
            for kind in range(N_KINDS):
                _holds((eni.open[kind] | eni.idle[kind]) & ~eni.attached[kind] == 0,
                       "open and idle slots are attached")
                for slot in range(64):
                    if eni.attached[kind] & bit(slot):
                        self._check_slot(eni, self.order[rank], kind, slot, states, totals)
                        if kind == PREFIX:
                            levels[popcount(eni.prefixes.slot[slot].free)] |= bit(slot)
                            _holds(popcount(eni.prefixes.slot[slot].free)
                                   == eni.prefixes.slot[slot].n_free, "free addresses")
                _holds(totals[HELD][kind] == eni.n_held[kind], "held addresses of an ENI")
                _holds(totals[COOLING][kind] == eni.n_cooling[kind], "cooling addresses")
            _holds(c_n_slots(eni) <= N_SLOTS, "slots of an ENI")
            if eni.prefixes != NULL:
                for slot in range(1, PER_PREFIX + 1):
                    _holds(eni.prefixes.level[slot] == levels[slot], f"level {slot}")
                    _holds(bool(eni.prefixes.levels >> slot & 1) == bool(levels[slot]),
                           f"bit of level {slot}")

    cdef _check_slot(self, EniSlots *eni, int handle, int kind, int slot, dict states,
                     dict totals):
        cdef uint32_t size, offset
        size = 1 if kind == LONE else PER_PREFIX
        if kind == WIDE:
            size = eni.wides.slot[slot].n_words * 64
        held = cooling = 0
        for offset in range(size):
            state = states.get((handle, kind, slot, offset))
            held += state == HELD
            cooling += state == COOLING
            expected = state in (None, COOLED)
            if kind == LONE:
                open = (eni.open[LONE] & bit(slot)) != 0
            elif kind == PREFIX:
                open = bool(eni.prefixes.slot[slot].free >> offset & 1)
                used = bool(eni.prefixes.slot[slot].used >> offset & 1)
                _holds(used == (state is not None), "used addresses have records")
            else:
                open = (eni.wides.slot[slot].free[offset // 64] & bit(offset % 64)) != 0
            _holds(open == expected, f"address {offset} of slot {slot} is open or not")
        _holds(held == c_held_in_slot(eni, kind, slot), "held addresses of a slot")
        _holds(cooling == c_cooling_in_slot(eni, kind, slot), "cooling addresses of a slot")
        _holds(((eni.idle[kind] & bit(slot)) != 0) == (held == 0), "idle slots")
        if kind == WIDE:
            self._check_wide(&eni.wides.slot[slot])
        else:
            _holds(((eni.open[kind] & bit(slot)) != 0) == (held + cooling < size), "open slots")
        totals[HELD][kind] += held
        totals[COOLING][kind] += cooling

    cdef _check_wide(self, Wide *wide):
        cdef uint32_t word
        for word in range(wide.n_words):
            _holds(((wide.open[word // 64] & bit(word % 64)) != 0) == (wide.free[word] != 0),
                   "summary of a window")
            _holds(word // 64 >= wide.hint or not wide.free[word], "hint of a window")

    cdef _check_table(self):
        """The table finds every held record, and holds no other."""
        cdef uint32_t number, position, n = 0
        for position in range(self.mask + 1):
            n += self.table[position] != 0
        _holds(n == self.n_held, "entries of the table")
        _holds(n * 2 <= self.mask + 1, "the table is at most half full")
        for number in range(self.n_records):
            if self.records[number].state == HELD:
                n -= 1
                _holds(self._c_find(self.records[number].digest) == number, "held records")
        _holds(n == 0, "no other record is in the table")

    cdef _check_cooling(self):
        """The list holds the cooling records, all of them, oldest first."""
        cdef uint32_t number = self.oldest, before = NONE, n = 0
        while number != NONE:
            n += 1
            _holds(self.records[number].state == COOLING, "only cooling records are listed")
            _holds(self.records[number].before == before, "the list is linked both ways")
            _holds(before == NONE or self.records[before].released_ns
                   <= self.records[number].released_ns, "the list is in order")
            before = number
            number = self.records[number].after
        _holds(self.newest == before, "the end of the list")
        _holds(n == sum([self.records[k].state == COOLING for k in range(self.n_records)]),
               "every cooling record is listed")


def _holds(truth, invariant):
    if not truth:
        raise AssertionError(invariant)


# --- an ENI's slots ---------------------------------------------------------------------


cdef inline int64_t c_size(int kind) noexcept nogil:
    """Return how many addresses a slot of a kind has."""
    return 1 if kind == LONE else PER_PREFIX if kind == PREFIX else <int64_t> WIDE_MASK + 1


cdef inline uint32_t c_any(uint32_t *counts) noexcept nogil:
    """Return the sum of a count over all kinds."""
    return counts[LONE] + counts[PREFIX] + counts[WIDE]


cdef inline int c_n_slots(EniSlots *eni) noexcept nogil:
    """Return how many slots of an ENI are in use."""
    return (popcount(eni.attached[LONE]) + popcount(eni.attached[PREFIX])
            + popcount(eni.attached[WIDE]))


cdef inline uint64_t c_drop_lowest(uint64_t word, int n) noexcept nogil:
    """Return a word without its `n` lowest set bits."""
    while n:
        word &= word - 1
        n -= 1
    return word


cdef int c_slot_of(EniSlots *eni, int kind, uint64_t high, uint64_t low) noexcept nogil:
    """Return the slot that holds an address (kind LONE) or begins there, -1 if none does."""
    cdef uint64_t slots = eni.attached[kind]
    cdef int slot
    while slots:
        slot = first_set(slots)
        slots &= slots - 1
        if kind == LONE:
            if eni.lone[slot].base == low:
                return slot
        elif kind == PREFIX:
            if eni.prefixes.slot[slot].base == low:
                return slot
        elif eni.wides.slot[slot].low == low and eni.wides.slot[slot].high == high:
            return slot
    return -1


cdef inline uint32_t c_held_in_slot(EniSlots *eni, int kind, int slot) noexcept nogil:
    """Return how many addresses of a slot are held."""
    if kind == LONE:
        return not eni.idle[LONE] & bit(slot)
    return eni.prefixes.slot[slot].n_held if kind == PREFIX else eni.wides.slot[slot].n_held


cdef inline uint32_t c_cooling_in_slot(EniSlots *eni, int kind, int slot) noexcept nogil:
    """Return how many addresses of a slot cool."""
    if kind == LONE:
        return (eni.idle[LONE] & ~eni.open[LONE] & bit(slot)) != 0
    if kind == PREFIX:
        return PER_PREFIX - eni.prefixes.slot[slot].n_free - eni.prefixes.slot[slot].n_held
    return eni.wides.slot[slot].n_cooling


cdef inline void c_count_held(EniSlots *eni, int kind, int slot, int change) noexcept nogil:
    """Count an address of an ENI and its slot as held (1) or not (-1), and keep `idle`."""
    eni.n_held[kind] += change
    if kind == PREFIX:
        eni.prefixes.slot[slot].n_held += change
    elif kind == WIDE:
        eni.wides.slot[slot].n_held += change
    if change > 0:
        eni.idle[kind] &= ~bit(slot)
    elif kind == LONE or not c_held_in_slot(eni, kind, slot):
        eni.idle[kind] |= bit(slot)


cdef inline void c_count_cooling(EniSlots *eni, int kind, int slot, int change) noexcept nogil:
    """Count an address of an ENI as cooling (1) or not (-1); of a /28 it is what is left."""
    eni.n_cooling[kind] += change
    if kind == WIDE:
        eni.wides.slot[slot].n_cooling += change


cdef inline void c_close(EniSlots *eni, int kind, int slot, uint32_t offset) noexcept nogil:
    """Make an open address not open."""
    cdef Prefix *prefix
    if kind == LONE:
        eni.open[LONE] &= ~bit(slot)
    elif kind == PREFIX:
        prefix = &eni.prefixes.slot[slot]
        prefix.free &= <uint16_t> ~(1 << offset)
        prefix.n_free -= 1
        c_relevel(eni, slot, prefix.n_free + 1, prefix.n_free)
    else:
        c_set_in_wide(&eni.wides.slot[slot], offset, False)


cdef inline void c_open(EniSlots *eni, int kind, int slot, uint32_t offset) noexcept nogil:
    """Make an address open."""
    cdef Prefix *prefix
    if kind == LONE:
        eni.open[LONE] |= bit(slot)
    elif kind == PREFIX:
        prefix = &eni.prefixes.slot[slot]
        prefix.free |= <uint16_t> (1 << offset)
        prefix.n_free += 1
        c_relevel(eni, slot, prefix.n_free - 1, prefix.n_free)
    else:
        c_set_in_wide(&eni.wides.slot[slot], offset, True)


cdef inline void c_relevel(EniSlots *eni, int slot, int before, int after) noexcept nogil:
    """Move a prefix between the levels of `before` and `after` open addresses."""
    cdef Prefixes *prefixes = eni.prefixes
    if before:
        prefixes.level[before] &= ~bit(slot)
        if not prefixes.level[before]:
            prefixes.levels &= ~(<uint32_t> 1 << before)
    if after:
        prefixes.level[after] |= bit(slot)
        prefixes.levels |= <uint32_t> 1 << after
        eni.open[PREFIX] |= bit(slot)
    else:
        eni.open[PREFIX] &= ~bit(slot)


cdef int c_new_lone(EniSlots *eni, int slot, uint32_t base) noexcept:
    """Make a slot for a secondary IP; -1 where there is no memory."""
    cdef int capacity
    cdef void *grown
    if slot >= eni.capacity:
        capacity = slot + 2  # not twice as many: memory is what a free address costs
        grown = PyMem_RawRealloc(eni.lone, capacity * sizeof(Lone))
        if grown == NULL:
            return -1
        eni.lone = <Lone*> grown
        eni.capacity = capacity
    eni.lone[slot].base = base
    eni.lone[slot].record = NONE
    return 0


cdef int c_new_prefix(EniSlots *eni, int slot, uint32_t base) noexcept:
    """Make a slot for a /28; -1 where there is no memory."""
    cdef uint32_t capacity
    cdef void *grown
    if eni.prefixes == NULL:
        eni.prefixes = <Prefixes*> PyMem_RawCalloc(1, sizeof(Prefixes))
        if eni.prefixes == NULL:
            return -1
    if slot >= <int> eni.prefixes.capacity:
        capacity = slot + 4 + slot // 2
        grown = PyMem_RawRealloc(eni.prefixes.slot, capacity * sizeof(Prefix))
        if grown == NULL:
            return -1
        eni.prefixes.slot = <Prefix*> grown
        eni.prefixes.capacity = capacity
    memset(&eni.prefixes.slot[slot], 0, sizeof(Prefix))
    eni.prefixes.slot[slot].base = base
    eni.prefixes.slot[slot].block = NONE
    eni.prefixes.slot[slot].free = 0xFFFF
    eni.prefixes.slot[slot].n_free = PER_PREFIX
    c_relevel(eni, slot, 0, PER_PREFIX)
    return 0


# --- the window of an IPv6 /80 ------------------------------------------------------------


cdef int c_new_wide(EniSlots *eni, int slot, uint64_t high, uint64_t low) noexcept:
    """Make a slot for a /80, its window empty; -1 where there is no memory."""
    cdef void *grown
    if eni.wides == NULL:
        eni.wides = <Wides*> PyMem_RawCalloc(1, sizeof(Wides))
        if eni.wides == NULL:
            return -1
    if slot >= <int> eni.wides.capacity:
        grown = PyMem_RawRealloc(eni.wides.slot, (slot + 1) * sizeof(Wide))
        if grown == NULL:
            return -1
        eni.wides.slot = <Wide*> grown
        eni.wides.capacity = slot + 1
    memset(&eni.wides.slot[slot], 0, sizeof(Wide))
    eni.wides.slot[slot].high = high
    eni.wides.slot[slot].low = low
    return 0


cdef void c_free_wide(Wide *wide) noexcept:
    PyMem_RawFree(wide.free)
    PyMem_RawFree(wide.open)
    PyMem_RawFree(wide.record)
    memset(wide, 0, sizeof(Wide))


cdef int c_double(Wide *wide) noexcept nogil:
    """Double a window; what is new is open. -1 where there is no memory for it."""
    cdef uint32_t n_words = max(<uint32_t> 1, wide.n_words * 2), word
    cdef void *grown
    if n_words > MOST_WORDS:
        return -1
    grown = PyMem_RawRealloc(wide.record, n_words * 64 * sizeof(uint32_t))
    if grown == NULL:
        return -1
    wide.record = <uint32_t*> grown
    grown = PyMem_RawRealloc(wide.open, (n_words + 63) // 64 * sizeof(uint64_t))
    if grown == NULL:
        return -1
    wide.open = <uint64_t*> grown
    grown = PyMem_RawRealloc(wide.free, n_words * sizeof(uint64_t))
    if grown == NULL:
        return -1
    wide.free = <uint64_t*> grown
    memset(&wide.record[wide.n_words * 64], 0xFF,
           (n_words - wide.n_words) * 64 * sizeof(uint32_t))
    for word in range(wide.n_words, n_words):
        if word % 64 == 0:
            wide.open[word // 64] = 0
        wide.free[word] = ~<uint64_t> 0
        wide.open[word // 64] |= bit(word % 64)
    wide.n_words = n_words
    return 0


cdef int64_t c_lowest_in_wide(Wide *wide) noexcept nogil:
    """Return the lowest open address of a window, which may grow; -1: no memory.

    Cost: constant but for a pass over words of 4,096 addresses that are all taken,
    which `hint` keeps behind it.
    """
    cdef uint32_t word
    while wide.hint * 64 < wide.n_words and not wide.open[wide.hint]:
        wide.hint += 1
    if wide.hint * 64 >= wide.n_words:
        word = wide.n_words
        if c_double(wide) < 0:
            return -1
        wide.hint = word // 64
    word = wide.hint * 64 + first_set(wide.open[wide.hint])
    return <int64_t> word * 64 + first_set(wide.free[word])


cdef inline void c_set_in_wide(Wide *wide, uint32_t offset, bint open) noexcept nogil:
    """Set or clear an address's bit, and the bit over its word."""
    cdef uint32_t word = offset // 64
    if open:
        wide.free[word] |= bit(offset % 64)
        wide.open[word // 64] |= bit(word % 64)
        wide.hint = min(wide.hint, word // 64)
    else:
        wide.free[word] &= ~bit(offset % 64)
        if not wide.free[word]:
            wide.open[word // 64] &= ~bit(word % 64)


# --- objects --------------------------------------------------------------------------------


cdef inline bint c_owns(Record *record) noexcept:
    """Return whether a record has the objects of the sandbox that it belongs to."""
    return (record.sandbox != NULL
            and (<Sandbox> record.sandbox).c_digest[0] == record.digest[0]
            and (<Sandbox> record.sandbox).c_digest[1] == record.digest[1])


cdef inline void c_forget(Record *record) noexcept:
    """Give up the objects that a record owns."""
    Py_XDECREF(record.sandbox)
    Py_XDECREF(record.pod)
    record.sandbox = record.pod = NULL


cdef void c_free_eni(EniSlots *eni) noexcept:
    cdef uint64_t slots = eni.attached[WIDE]
    Py_XDECREF(eni.eni_id)
    Py_XDECREF(eni.subnet_id)
    PyMem_RawFree(eni.lone)
    if eni.prefixes != NULL:
        PyMem_RawFree(eni.prefixes.slot)
        PyMem_RawFree(eni.prefixes)
    if eni.wides != NULL:
        while slots:
            c_free_wide(&eni.wides.slot[first_set(slots)])
            slots &= slots - 1
        PyMem_RawFree(eni.wides.slot)
        PyMem_RawFree(eni.wides)
    PyMem_RawFree(eni)


cdef object c_rows(object np, object digests):
    """Return a batch's digests as contiguous (n, 2) uint64. Raises `TypeError`, `ValueError`."""
    rows = np.ascontiguousarray(digests)
    if rows.dtype != np.uint64:
        raise TypeError(f"digests are uint64, not {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"digests have shape (n, 2), not {rows.shape}")
    return rows
