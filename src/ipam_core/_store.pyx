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
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
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
    PoolExhaustedError,
    SnapshotError,
    UnknownAddressError,
    UnknownEniError,
    UnknownSandboxError,
)

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int, timespec*)
    int CLOCK_MONOTONIC_COARSE

cdef enum:
    N_ENIS = 64
    N_SLOTS = 63
    PER_PREFIX = 16
    LONE = 0      # the kinds of what a slot holds: a secondary IP,
    PREFIX = 1    # or a prefix
    UNUSED = 0    # the states of a record
    HELD = 1
    COOLING = 2
    COOLED = 3

cdef uint32_t NONE = 0xFFFFFFFF


cdef struct Record:           # one address that is or was held: a cache line
    uint64_t digest[2]        # of the sandbox that holds it
    PyObject *sandbox         # owned while held; NULL where only the digest is known
    PyObject *pod             # owned while held; NULL: not told
    int64_t assigned_ns
    int64_t released_ns       # 0: never
    uint32_t before           # the cooling list; `after` also links unused records
    uint32_t after
    uint32_t offset           # of the address in its prefix
    uint8_t eni
    uint8_t kind
    uint8_t slot
    uint8_t state


cdef struct Lone:             # a slot that holds a secondary IP
    uint32_t base
    uint32_t record


cdef struct Prefix:           # a slot that holds a /28
    uint32_t base
    uint32_t block            # of record numbers
    uint16_t free
    uint16_t used
    uint16_t n_held
    uint16_t n_cooling


cdef struct Prefixes:         # what an ENI needs only when it holds prefixes
    uint64_t level[PER_PREFIX + 1]
    uint32_t levels
    uint32_t capacity
    Prefix *slot


cdef struct EniSlots:            # an ENI
    PyObject *eni_id
    PyObject *subnet_id
    uint64_t attached[2]
    uint64_t open[2]
    uint64_t idle[2]
    Lone *lone
    Prefixes *prefixes
    int64_t created_ns
    uint32_t n_held[2]
    uint32_t n_cooling[2]
    int32_t device_number
    int32_t network_card
    int32_t route_table
    uint8_t capacity          # of `lone`
    uint8_t rank
    uint8_t primary
    uint8_t trunk
    uint8_t efa
    uint8_t excluded


# --- values -----------------------------------------------------------------


@cython.final
cdef class Sandbox:
    """(network, container id, interface), immutable, its hash and 128-bit digest kept."""

    cdef readonly str container_id, ifname, network
    cdef uint64_t c_digest[2]

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

    @property
    def digest(self):
        return (<char*> self.c_digest)[:16]

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
        return (f"Sandbox({self.container_id!r}, ifname={self.ifname!r}, "
                f"network={self.network!r})")

    def __reduce__(self):
        return Sandbox, (self.container_id, self.ifname, self.network)


@cython.final
@cython.freelist(64)
cdef class Assignment:
    """One address held by one sandbox. Strings are made when asked for."""

    cdef readonly Sandbox sandbox
    cdef readonly object pod
    cdef readonly str eni_id
    cdef readonly int device_number
    cdef readonly int64_t assigned_ns
    cdef uint32_t c_address
    cdef bint c_has_prefix

    @property
    def address(self):
        return c_address_text(self.c_address)

    @property
    def prefix(self):
        if not self.c_has_prefix:
            return None
        return c_address_text(self.c_address & ~<uint32_t> 15) + "/28"

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

    cdef readonly int total, assigned, cooling, prefixes, free_prefixes, enis
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
    cdef readonly int slots_used, total, assigned, cooling, assigned_any, cooling_any
    cdef readonly int addresses, prefixes, free_prefixes
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


cdef uint32_t c_parse_address(str text) except? 0xFFFFFFFF:
    try:
        return int(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 address") from None


cdef uint32_t c_parse_prefix(str text) except? 0xFFFFFFFF:
    cdef uint32_t base
    if not text.endswith("/28"):
        raise ValueError(f"{text!r} is not an IPv4 /28 prefix")
    base = c_parse_address(text.removesuffix("/28"))
    if base & 15:
        raise ValueError(f"{text!r} has address bits set below the prefix")
    return base


cdef inline int64_t c_now(object now_ns) except? -1:
    cdef timespec now
    if now_ns is None:
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
        return <int64_t> now.tv_sec * 1000000000 + now.tv_nsec
    return now_ns


# --- the store ------------------------------------------------------------------

_MODES = {"secondary-ip": 1, "prefix": 2, "mixed": 3}
_PLACEMENTS = {"pack": 0, "first": 1, "spread": 2, "arbitrary": 3}

cdef enum:
    PACK = 0
    FIRST = 1
    SPREAD = 2
    ARBITRARY = 3


cdef class DataStore:
    """One network card's ENIs and their addresses."""

    MAX_ENIS = N_ENIS
    MAX_SLOTS = N_SLOTS

    cdef EniSlots *ports[N_ENIS]
    cdef uint8_t order[N_ENIS]        # ENIs by rank: device number, then order of adding
    cdef uint64_t open_ranks
    cdef int n_enis
    cdef Record *records
    cdef uint32_t n_records           # capacity
    cdef uint32_t unused              # list of unused records
    cdef uint32_t *table              # record number + 1 by digest; 0: nothing
    cdef uint32_t mask
    cdef uint32_t n_held
    cdef uint32_t oldest, newest      # cooling records, by time of release
    cdef uint32_t (*blocks)[PER_PREFIX]
    cdef uint32_t n_blocks
    cdef uint32_t unused_block
    cdef int64_t _cooldown_ns
    cdef int kinds                    # bit LONE, bit PREFIX: assigned from and counted
    cdef int _placement
    cdef uint64_t _random
    cdef dict _by_id

    def __cinit__(self):
        self.unused = self.oldest = self.newest = self.unused_block = NONE
        self.mask = 63
        self.table = <uint32_t*> calloc(64, sizeof(uint32_t))
        if self.table == NULL:
            raise MemoryError

    def __init__(self, mode="secondary-ip", *, cooldown_s=30, placement="pack", seed=0):
        if placement not in _PLACEMENTS:
            raise ValueError(f"placement {placement!r}: one of {', '.join(_PLACEMENTS)}")
        if not 0 <= cooldown_s < 1e9:
            raise ValueError(f"cooldown_s {cooldown_s!r}: from 0 to 1e9 seconds")
        self._by_id = {}
        self.mode = mode
        self._cooldown_ns = round(cooldown_s * 1e9)
        self._placement = _PLACEMENTS[placement]
        self._random = (<uint64_t> (hash(seed) & 0xFFFFFFFF) + 1) * <uint64_t> 0x9E3779B97F4A7C15

    def __dealloc__(self):
        cdef uint32_t number
        cdef int position
        if self.records != NULL:
            for number in range(self.n_records):
                Py_XDECREF(self.records[number].sandbox)
                Py_XDECREF(self.records[number].pod)
        for position in range(self.n_enis):
            c_free_eni(self.ports[self.order[position]])
        free(self.records)
        free(self.table)
        free(self.blocks)

    # --- what it is -----------------------------------------------------------

    @property
    def mode(self):
        return next(name for name, kinds in _MODES.items() if kinds == self.kinds)

    @mode.setter
    def mode(self, mode):
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r}: one of {', '.join(_MODES)}")
        self.kinds = _MODES[mode]
        for position in range(self.n_enis):
            self._c_refresh(self.order[position])

    @property
    def cooldown_ns(self):
        return self._cooldown_ns

    @property
    def placement(self):
        return next(name for name, value in _PLACEMENTS.items() if value == self._placement)

    # --- ENIs -------------------------------------------------------------------

    def add_eni(self, str eni_id not None, *, int device_number, int network_card=0,
                bint primary=False, bint trunk=False, bint efa=False, bint excluded=False,
                created_ns=None, str subnet_id not None="", int route_table=0):
        cdef int64_t created = c_now(created_ns)
        cdef int rank = 0, handle = 0, position
        cdef EniSlots *eni
        if eni_id in self._by_id:
            raise DuplicateError("ENI", eni_id)
        if self.n_enis == N_ENIS:
            raise CapacityError("ENIs of a store", N_ENIS)
        while self.ports[handle] != NULL:
            handle += 1
        eni = <EniSlots*> calloc(1, sizeof(EniSlots))
        if eni == NULL:
            raise MemoryError
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
        self._by_id[eni_id] = handle
        for position in range(rank, self.n_enis):
            self.ports[self.order[position]].rank = position
        self._c_rank()

    def remove_eni(self, str eni_id not None, *, bint force=False):
        cdef int handle = self._handle(eni_id), position
        cdef EniSlots *eni = self.ports[handle]
        cdef list lost = []
        cdef uint64_t slots
        cdef int kind
        cdef int n_held = eni.n_held[LONE] + eni.n_held[PREFIX]
        if n_held and not force:
            raise AddressInUseError(f"ENI {eni_id!r}", n_held)
        for kind in range(2):
            slots = eni.attached[kind]
            while slots:
                self._drop_slot(handle, kind, first_set(slots), lost)
                slots &= slots - 1
        position = eni.rank
        self.n_enis -= 1
        memmove(&self.order[position], &self.order[position + 1], self.n_enis - position)
        self.ports[handle] = NULL
        del self._by_id[eni_id]
        c_free_eni(eni)
        for position in range(position, self.n_enis):
            self.ports[self.order[position]].rank = position
        self._c_rank()
        return lost

    def exclude_eni(self, str eni_id not None):
        self._set_excluded(eni_id, True)

    def include_eni(self, str eni_id not None):
        self._set_excluded(eni_id, False)

    cdef _set_excluded(self, str eni_id, bint excluded):
        cdef int handle = self._handle(eni_id)
        self.ports[handle].excluded = excluded
        self._c_refresh(handle)

    def eni(self, str eni_id not None):
        return self._eni(self._handle(eni_id))

    def enis(self):
        return tuple([self._eni(self.order[rank]) for rank in range(self.n_enis)])

    def __contains__(self, eni_id):
        return eni_id in self._by_id

    cdef Eni _eni(self, int handle):
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
        """Make `open_ranks` anew, after ranks moved."""
        cdef int rank
        self.open_ranks = 0
        for rank in range(self.n_enis):
            if self._c_is_open(self.ports[self.order[rank]]):
                self.open_ranks |= bit(rank)

    cdef inline bint _c_is_open(self, EniSlots *eni) noexcept nogil:
        return not eni.excluded and (
            (self.kinds & 1 and eni.open[LONE] != 0)
            or (self.kinds & 2 and eni.open[PREFIX] != 0))

    cdef inline void _c_refresh(self, int handle) noexcept nogil:
        """Set an ENI's bit of `open_ranks`, after something of it changed."""
        cdef EniSlots *eni = self.ports[handle]
        if self._c_is_open(eni):
            self.open_ranks |= bit(eni.rank)
        else:
            self.open_ranks &= ~bit(eni.rank)

    # --- addresses and prefixes ---------------------------------------------------

    def add_address(self, str eni_id not None, str address not None):
        cdef int handle = self._handle(eni_id)
        cdef uint32_t base = c_parse_address(address)
        cdef EniSlots *eni = self.ports[handle]
        cdef int slot, capacity
        cdef Lone *grown
        self._refuse_taken(base, 1, address)
        slot = self._free_slot(eni, LONE, eni_id)
        if slot >= eni.capacity:
            capacity = min(max(4, eni.capacity * 2), 64)
            grown = <Lone*> realloc(eni.lone, capacity * sizeof(Lone))
            if grown == NULL:
                raise MemoryError
            eni.lone = grown
            eni.capacity = capacity
        eni.lone[slot].base = base
        eni.lone[slot].record = NONE
        eni.attached[LONE] |= bit(slot)
        eni.open[LONE] |= bit(slot)
        eni.idle[LONE] |= bit(slot)
        self._c_refresh(handle)

    def add_prefix(self, str eni_id not None, str prefix not None):
        cdef int handle = self._handle(eni_id)
        cdef uint32_t base = c_parse_prefix(prefix)
        cdef EniSlots *eni = self.ports[handle]
        cdef int slot, capacity
        cdef Prefix *grown
        self._refuse_taken(base, PER_PREFIX, prefix)
        slot = self._free_slot(eni, PREFIX, eni_id)
        if eni.prefixes == NULL:
            eni.prefixes = <Prefixes*> calloc(1, sizeof(Prefixes))
            if eni.prefixes == NULL:
                raise MemoryError
        if slot >= <int> eni.prefixes.capacity:
            capacity = min(max(4, <int> eni.prefixes.capacity * 2), 64)
            grown = <Prefix*> realloc(eni.prefixes.slot, capacity * sizeof(Prefix))
            if grown == NULL:
                raise MemoryError
            eni.prefixes.slot = grown
            eni.prefixes.capacity = capacity
        memset(&eni.prefixes.slot[slot], 0, sizeof(Prefix))
        eni.prefixes.slot[slot].base = base
        eni.prefixes.slot[slot].block = NONE
        eni.prefixes.slot[slot].free = 0xFFFF
        eni.attached[PREFIX] |= bit(slot)
        eni.idle[PREFIX] |= bit(slot)
        c_relevel(eni, slot, 0, PER_PREFIX)
        self._c_refresh(handle)

    cdef int _free_slot(self, EniSlots *eni, int kind, str eni_id) except -1:
        if popcount(eni.attached[LONE]) + popcount(eni.attached[PREFIX]) >= N_SLOTS:
            raise CapacityError(f"slots of ENI {eni_id!r}", N_SLOTS)
        return first_set(~eni.attached[kind])

    cdef int _refuse_taken(self, uint32_t base, uint32_t size, str text) except -1:
        """Raise `DuplicateError` if an address of base..base+size-1 is attached already."""
        cdef int rank, slot
        cdef uint64_t slots
        cdef EniSlots *eni
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            slots = eni.attached[LONE]
            while slots:
                if eni.lone[first_set(slots)].base - base < size:
                    raise DuplicateError("address" if size == 1 else "prefix", text)
                slots &= slots - 1
            slots = eni.attached[PREFIX]
            while slots:
                if eni.prefixes.slot[first_set(slots)].base == base & ~<uint32_t> 15:
                    raise DuplicateError("address" if size == 1 else "prefix", text)
                slots &= slots - 1
        return 0

    def remove_address(self, str eni_id not None, str address not None, *, bint force=False):
        return self._remove(eni_id, LONE, c_parse_address(address), address, force)

    def remove_prefix(self, str eni_id not None, str prefix not None, *, bint force=False):
        return self._remove(eni_id, PREFIX, c_parse_prefix(prefix), prefix, force)

    cdef list _remove(self, str eni_id, int kind, uint32_t base, str text, bint force):
        cdef int handle = self._handle(eni_id)
        cdef EniSlots *eni = self.ports[handle]
        cdef int slot = c_slot_of(eni, kind, base)
        cdef list lost = []
        if slot < 0:
            raise UnknownAddressError(text, f"ENI {eni_id!r}")
        if not eni.idle[kind] & bit(slot) and not force:
            raise AddressInUseError(
                text, eni.prefixes.slot[slot].n_held if kind == PREFIX else 1)
        self._drop_slot(handle, kind, slot, lost)
        self._c_refresh(handle)
        return lost

    cdef int _drop_slot(self, int handle, int kind, int slot, list lost) except -1:
        """Empty a slot; its assignments go to `lost`, its cooling records to nothing."""
        cdef EniSlots *eni = self.ports[handle]
        cdef uint32_t *numbers
        cdef int count, offset
        if kind == LONE:
            self._drop_record(eni.lone[slot].record, eni, lost)
        else:
            if eni.prefixes.slot[slot].block != NONE:
                numbers = self.blocks[eni.prefixes.slot[slot].block]
                for offset in range(PER_PREFIX):
                    self._drop_record(numbers[offset], eni, lost)
                numbers[0] = self.unused_block
                self.unused_block = eni.prefixes.slot[slot].block
            c_relevel(eni, slot, popcount(eni.prefixes.slot[slot].free), 0)
        eni.attached[kind] &= ~bit(slot)
        eni.open[kind] &= ~bit(slot)
        eni.idle[kind] &= ~bit(slot)
        return 0

    cdef int _drop_record(self, uint32_t number, EniSlots *eni, list lost) except -1:
        cdef Record *record
        if number == NONE:
            return 0
        record = &self.records[number]
        if record.state == HELD:
            lost.append(self._assignment(number))
            self._c_unhang(number)
            eni.n_held[record.kind] -= 1
            Py_XDECREF(record.sandbox)
            Py_XDECREF(record.pod)
        elif record.state == COOLING:
            self._c_unqueue(number)
            eni.n_cooling[record.kind] -= 1
        memset(record, 0, sizeof(Record))
        record.after = self.unused
        self.unused = number
        return 0

    def addresses(self, str eni_id not None):
        return self._listed(eni_id, LONE, False)

    def prefixes(self, str eni_id not None):
        return self._listed(eni_id, PREFIX, False)

    def freeable_addresses(self, str eni_id not None):
        return self._listed(eni_id, LONE, True)

    def freeable_prefixes(self, str eni_id not None):
        return self._listed(eni_id, PREFIX, True)

    cdef list _listed(self, str eni_id, int kind, bint only_idle):
        cdef EniSlots *eni = self.ports[self._handle(eni_id)]
        cdef uint64_t slots = eni.idle[kind] if only_idle else eni.attached[kind]
        cdef list found = []
        while slots:
            if kind == LONE:
                found.append(c_address_text(eni.lone[first_set(slots)].base))
            else:
                found.append(c_address_text(eni.prefixes.slot[first_set(slots)].base) + "/28")
            slots &= slots - 1
        return found

    # --- pods -----------------------------------------------------------------------

    def assign(self, Sandbox sandbox not None, str pod=None, now_ns=None):
        cdef int64_t now = c_now(now_ns)
        cdef uint32_t number = self._c_find(sandbox.c_digest)
        if number != NONE:
            return self._assignment(number)
        if self.oldest != NONE:
            self._c_expire(now)
        if not self.open_ranks:
            stats = self._stats(now, -1)
            raise PoolExhaustedError(
                total=stats.total, assigned=stats.assigned, cooling=stats.cooling)
        self._reserve(1)
        return self._assignment(self._take_next(sandbox, pod, now))

    cdef uint32_t _take_next(self, Sandbox sandbox, str pod, int64_t now) except? 0xFFFFFFFF:
        cdef int handle = self._c_choose_eni()
        cdef EniSlots *eni = self.ports[handle]
        cdef int kind = self._c_choose_kind(eni)
        cdef int slot = self._c_choose_slot(eni, kind)
        cdef int offset = 0 if kind == LONE else self._c_choose_offset(&eni.prefixes.slot[slot])
        return self._take(handle, kind, slot, offset, sandbox, pod, now)

    def adopt(self, Sandbox sandbox not None, str address not None, str pod=None, now_ns=None):
        cdef int64_t now = c_now(now_ns)
        cdef uint32_t wanted = c_parse_address(address), number
        cdef int handle, kind, slot
        cdef uint32_t offset
        number = self._c_find(sandbox.c_digest)
        if number != NONE:
            if self._address_of(number) == wanted:
                return self._assignment(number)
            raise DuplicateError("sandbox", repr(sandbox))
        if not self._c_locate(wanted, &handle, &kind, &slot, &offset):
            raise UnknownAddressError(address, "any ENI of the store")
        number = self._c_record_at(handle, kind, slot, offset)
        if number != NONE and self.records[number].state == HELD:
            raise AddressInUseError(address)
        self._reserve(1)
        return self._assignment(self._take(handle, kind, slot, offset, sandbox, pod, now))

    cdef uint32_t _take(self, int handle, int kind, int slot, uint32_t offset,
                        Sandbox sandbox, str pod, int64_t now) except? 0xFFFFFFFF:
        """Give an address that nobody holds to a sandbox. Room was reserved."""
        cdef uint32_t number = self._record_for(handle, kind, slot, offset)
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[handle]
        cdef Prefix *prefix
        if record.state == COOLING:
            self._c_unqueue(number)
            eni.n_cooling[kind] -= 1
            if kind == PREFIX:
                eni.prefixes.slot[slot].n_cooling -= 1
        record.digest[0] = sandbox.c_digest[0]
        record.digest[1] = sandbox.c_digest[1]
        record.sandbox = <PyObject*> sandbox
        Py_INCREF(sandbox)
        record.pod = NULL
        if pod is not None:
            record.pod = <PyObject*> pod
            Py_INCREF(pod)
        record.assigned_ns = now
        record.released_ns = 0
        record.state = HELD
        self._c_hang(number)
        eni.n_held[kind] += 1
        eni.idle[kind] &= ~bit(slot)
        if kind == LONE:
            eni.open[LONE] &= ~bit(slot)
        else:
            prefix = &eni.prefixes.slot[slot]
            prefix.n_held += 1
            prefix.used |= <uint16_t> (1 << offset)
            if prefix.free >> offset & 1:
                c_relevel(eni, slot, popcount(prefix.free), popcount(prefix.free) - 1)
                prefix.free &= <uint16_t> ~(1 << offset)
        self._c_refresh(handle)
        return number

    def cool(self, str address not None, int64_t released_ns):
        cdef uint32_t wanted = c_parse_address(address), number
        cdef int handle, kind, slot
        cdef uint32_t offset
        if not self._c_locate(wanted, &handle, &kind, &slot, &offset):
            raise UnknownAddressError(address, "any ENI of the store")
        number = self._c_record_at(handle, kind, slot, offset)
        if number != NONE and self.records[number].state != COOLED:
            raise AddressInUseError(address)
        self._reserve(1)
        number = self._record_for(handle, kind, slot, offset)
        if kind == PREFIX:
            self.ports[handle].prefixes.slot[slot].used |= <uint16_t> (1 << offset)
        self._c_cool(number, released_ns)
        self._c_refresh(handle)

    def release(self, Sandbox sandbox not None, now_ns=None):
        cdef int64_t now = c_now(now_ns)
        cdef uint32_t number = self._c_find(sandbox.c_digest)
        cdef Record *record
        cdef EniSlots *eni
        cdef Assignment released
        if number == NONE:
            raise UnknownSandboxError(sandbox)
        released = self._assignment(number)
        record = &self.records[number]
        eni = self.ports[record.eni]
        self._c_unhang(number)
        eni.n_held[record.kind] -= 1
        if record.kind == LONE:
            eni.idle[LONE] |= bit(record.slot)
        else:
            eni.prefixes.slot[record.slot].n_held -= 1
            if not eni.prefixes.slot[record.slot].n_held:
                eni.idle[PREFIX] |= bit(record.slot)
        self._c_cool(number, now)
        Py_XDECREF(record.sandbox)
        Py_XDECREF(record.pod)
        record.sandbox = record.pod = NULL
        return released

    cdef void _c_cool(self, uint32_t number, int64_t released_ns) noexcept nogil:
        """Let an address that nobody holds cool from `released_ns` on."""
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[record.eni]
        cdef Prefix *prefix
        record.released_ns = released_ns
        record.state = COOLING
        eni.n_cooling[record.kind] += 1
        if record.kind == LONE:
            eni.open[LONE] &= ~bit(record.slot)
        else:
            prefix = &eni.prefixes.slot[record.slot]
            prefix.n_cooling += 1
            if prefix.free >> record.offset & 1:
                c_relevel(eni, record.slot, popcount(prefix.free), popcount(prefix.free) - 1)
                prefix.free &= <uint16_t> ~(1 << record.offset)
        self._c_queue(number)

    cdef void _c_expire(self, int64_t now) noexcept nogil:
        """Make the addresses free whose cooldown has passed. Amortised constant."""
        cdef Record *record
        cdef EniSlots *eni
        cdef Prefix *prefix
        cdef uint32_t number
        while self.oldest != NONE:
            number = self.oldest
            record = &self.records[number]
            if now - record.released_ns <= self._cooldown_ns:
                return
            self._c_unqueue(number)
            record.state = COOLED
            eni = self.ports[record.eni]
            eni.n_cooling[record.kind] -= 1
            if record.kind == LONE:
                eni.open[LONE] |= bit(record.slot)
            else:
                prefix = &eni.prefixes.slot[record.slot]
                prefix.n_cooling -= 1
                c_relevel(eni, record.slot, popcount(prefix.free), popcount(prefix.free) + 1)
                prefix.free |= <uint16_t> (1 << record.offset)
            self._c_refresh(record.eni)

    def find(self, Sandbox sandbox not None):
        cdef uint32_t number = self._c_find(sandbox.c_digest)
        return None if number == NONE else self._assignment(number)

    def find_address(self, str address not None):
        cdef int handle, kind, slot
        cdef uint32_t offset, number
        if not self._c_locate(c_parse_address(address), &handle, &kind, &slot, &offset):
            return None
        number = self._c_record_at(handle, kind, slot, offset)
        if number == NONE or self.records[number].state != HELD:
            return None
        return self._assignment(number)

    def assignments(self):
        cdef uint32_t number
        return iter([self._assignment(number) for number in range(self.n_records)
                     if self.records[number].state == HELD])

    def used_addresses(self, str eni_id not None):
        cdef int handle = self._handle(eni_id)
        cdef uint32_t number
        cdef Record *record
        cdef UsedAddress used
        cdef uint32_t address
        cdef list found = []
        for number in range(self.n_records):
            record = &self.records[number]
            if record.state == UNUSED or record.eni != handle:
                continue
            address = self._address_of(number)
            used = UsedAddress.__new__(UsedAddress)
            used.address = c_address_text(address)
            used.prefix = (c_address_text(address & ~<uint32_t> 15) + "/28"
                           if record.kind == PREFIX else None)
            used.sandbox = <object> record.sandbox if record.sandbox != NULL else None
            used.pod = <object> record.pod if record.pod != NULL else None
            used.assigned_ns = record.assigned_ns
            used.released_ns = record.released_ns
            found.append(used)
        return found

    # --- where the next address comes from --------------------------------------------

    cdef int _c_choose_eni(self) noexcept nogil:
        """Return an ENI with an open slot; there is one."""
        cdef uint64_t ranks = self.open_ranks
        cdef int best = -1, most = -1, count, skip
        cdef EniSlots *eni
        if self._placement == ARBITRARY:
            skip = self._c_below(popcount(ranks))
            while skip:
                ranks &= ranks - 1
                skip -= 1
        elif self._placement == SPREAD:
            while ranks:
                eni = self.ports[self.order[first_set(ranks)]]
                count = self._c_n_free(eni)
                if count > most:
                    best, most = first_set(ranks), count
                ranks &= ranks - 1
            return self.order[best]
        return self.order[first_set(ranks)]

    cdef int _c_n_free(self, EniSlots *eni) noexcept nogil:
        cdef int count = 0
        if self.kinds & 1:
            count += popcount(eni.open[LONE])
        if self.kinds & 2:
            count += (PER_PREFIX * popcount(eni.attached[PREFIX])
                      - eni.n_held[PREFIX] - eni.n_cooling[PREFIX])
        return count

    cdef int _c_choose_kind(self, EniSlots *eni) noexcept nogil:
        """Return the kind to assign from: prefixes first where both count."""
        return PREFIX if self.kinds & 2 and eni.open[PREFIX] else LONE

    cdef int _c_choose_slot(self, EniSlots *eni, int kind) noexcept nogil:
        cdef uint64_t slots = eni.open[kind]
        cdef int skip
        if self._placement == ARBITRARY:
            skip = self._c_below(popcount(slots))
            while skip:
                slots &= slots - 1
                skip -= 1
        elif self._placement == PACK and kind == PREFIX:
            slots = eni.prefixes.level[first_set(eni.prefixes.levels)]
        return first_set(slots)

    cdef int _c_choose_offset(self, Prefix *prefix) noexcept nogil:
        """Return the lowest address; arbitrary ones first where a cooldown has passed."""
        cdef uint16_t cooled = prefix.free & prefix.used
        if self._placement == ARBITRARY and cooled:
            return first_set(cooled)
        return first_set(prefix.free)

    cdef int _c_below(self, int n) noexcept nogil:
        """Return a number from 0 to n - 1 (xorshift; n is at most 64)."""
        self._random ^= self._random << 13
        self._random ^= self._random >> 7
        self._random ^= self._random << 17
        return <int> ((self._random >> 32) * <uint64_t> n >> 32)

    # --- records ------------------------------------------------------------------------

    cdef int _reserve(self, uint32_t n) except -1:
        """Make sure that `n` records, blocks and table entries can be had without failing."""
        cdef uint32_t capacity, number
        cdef void *grown
        cdef uint32_t available = 0
        number = self.unused
        while number != NONE and available < n:
            available += 1
            number = self.records[number].after
        if available < n:
            capacity = max(8, self.n_records * 3 // 2 + n)
            grown = realloc(self.records, capacity * sizeof(Record))
            if grown == NULL:
                raise MemoryError
            self.records = <Record*> grown
            memset(&self.records[self.n_records], 0,
                   (capacity - self.n_records) * sizeof(Record))
            for number in range(self.n_records, capacity):
                self.records[number].after = self.unused
                self.unused = number
            self.n_records = capacity
        if (self.n_held + n) * 2 > self.mask + 1:
            self._rehash((self.mask + 1) * 2)
        return 0

    cdef int _rehash(self, uint32_t size) except -1:
        cdef uint32_t *old = self.table
        cdef uint32_t *new = <uint32_t*> calloc(size, sizeof(uint32_t))
        cdef uint32_t position, n_old = self.mask + 1
        if new == NULL:
            raise MemoryError
        self.table = new
        self.mask = size - 1
        self.n_held = 0
        for position in range(n_old):
            if old[position]:
                self._c_hang(old[position] - 1)
        free(old)
        return 0

    cdef uint32_t _record_for(self, int handle, int kind, int slot,
                              uint32_t offset) except? 0xFFFFFFFF:
        """Return the record of an address, taking an unused one where it has none."""
        cdef EniSlots *eni = self.ports[handle]
        cdef uint32_t number = self._c_record_at(handle, kind, slot, offset)
        cdef Record *record
        if number != NONE:
            return number
        if kind == PREFIX and eni.prefixes.slot[slot].block == NONE:
            eni.prefixes.slot[slot].block = self._new_block()
        number = self.unused
        record = &self.records[number]
        self.unused = record.after
        record.eni = handle
        record.kind = kind
        record.slot = slot
        record.offset = offset
        if kind == LONE:
            eni.lone[slot].record = number
        else:
            self.blocks[eni.prefixes.slot[slot].block][offset] = number
        return number

    cdef uint32_t _new_block(self) except? 0xFFFFFFFF:
        cdef uint32_t block = self.unused_block, capacity, number
        cdef void *grown
        if block == NONE:
            capacity = max(4, self.n_blocks * 3 // 2)
            grown = realloc(self.blocks, capacity * sizeof(self.blocks[0]))
            if grown == NULL:
                raise MemoryError
            self.blocks = <uint32_t (*)[PER_PREFIX]> grown
            for number in range(self.n_blocks, capacity):
                self.blocks[number][0] = self.unused_block
                self.unused_block = number
            self.n_blocks = capacity
            block = self.unused_block
        self.unused_block = self.blocks[block][0]
        memset(self.blocks[block], 0xFF, sizeof(self.blocks[block]))
        return block

    cdef uint32_t _c_record_at(self, int handle, int kind, int slot,
                               uint32_t offset) noexcept nogil:
        cdef EniSlots *eni = self.ports[handle]
        cdef uint32_t block
        if kind == LONE:
            return eni.lone[slot].record
        block = eni.prefixes.slot[slot].block
        return NONE if block == NONE else self.blocks[block][offset]

    cdef bint _c_locate(self, uint32_t address, int *handle, int *kind, int *slot,
                        uint32_t *offset) noexcept nogil:
        cdef int rank
        for rank in range(self.n_enis):
            handle[0] = self.order[rank]
            for kind[0] in range(2):
                slot[0] = c_slot_of(
                    self.ports[handle[0]], kind[0],
                    address if kind[0] == LONE else address & ~<uint32_t> 15)
                if slot[0] >= 0:
                    offset[0] = 0 if kind[0] == LONE else address & 15
                    return True
        return False

    cdef uint32_t _address_of(self, uint32_t number) noexcept nogil:
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[record.eni]
        if record.kind == LONE:
            return eni.lone[record.slot].base
        return eni.prefixes.slot[record.slot].base + record.offset

    cdef Assignment _assignment(self, uint32_t number):
        cdef Record *record = &self.records[number]
        cdef EniSlots *eni = self.ports[record.eni]
        cdef Assignment value = Assignment.__new__(Assignment)
        value.sandbox = <object> record.sandbox
        value.pod = <object> record.pod if record.pod != NULL else None
        value.eni_id = <object> eni.eni_id
        value.device_number = eni.device_number
        value.assigned_ns = record.assigned_ns
        value.c_address = self._address_of(number)
        value.c_has_prefix = record.kind == PREFIX
        return value

    # --- the table of held records: linear probing, no tombstones ---------------------

    cdef inline uint32_t _c_find(self, uint64_t *digest) noexcept nogil:
        cdef uint32_t position = <uint32_t> digest[0] & self.mask
        cdef Record *record
        while self.table[position]:
            record = &self.records[self.table[position] - 1]
            if record.digest[0] == digest[0] and record.digest[1] == digest[1]:
                return self.table[position] - 1
            position = (position + 1) & self.mask
        return NONE

    cdef inline void _c_hang(self, uint32_t number) noexcept nogil:
        cdef uint32_t position = <uint32_t> self.records[number].digest[0] & self.mask
        while self.table[position]:
            position = (position + 1) & self.mask
        self.table[position] = number + 1
        self.n_held += 1

    cdef void _c_unhang(self, uint32_t number) noexcept nogil:
        """Take a record out; those behind it move up, so that no probe stops early."""
        cdef uint32_t hole = <uint32_t> self.records[number].digest[0] & self.mask
        cdef uint32_t position, home
        while self.table[hole] != number + 1:
            hole = (hole + 1) & self.mask
        position = hole
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
        return self._stats(c_now(now_ns), -1 if network_card is None else network_card)

    cdef PoolStats _stats(self, int64_t now, int network_card):
        cdef PoolStats value = PoolStats.__new__(PoolStats)
        cdef EniSlots *eni
        cdef int rank
        self._c_expire(now)
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            if network_card >= 0 and eni.network_card != network_card:
                continue
            value.enis += 1
            value.prefixes += popcount(eni.attached[PREFIX])
            value.free_prefixes += popcount(eni.idle[PREFIX])
            if not eni.excluded:
                value.total += self._c_total(eni)
                value.assigned += self._c_sum(eni.n_held)
                value.cooling += self._c_sum(eni.n_cooling)
        return value

    cdef inline int _c_total(self, EniSlots *eni) noexcept nogil:
        return ((popcount(eni.attached[LONE]) if self.kinds & 1 else 0)
                + (PER_PREFIX * popcount(eni.attached[PREFIX]) if self.kinds & 2 else 0))

    cdef inline int _c_sum(self, uint32_t *counts) noexcept nogil:
        return ((counts[LONE] if self.kinds & 1 else 0)
                + (counts[PREFIX] if self.kinds & 2 else 0))

    def eni_stats(self, str eni_id not None, now_ns=None):
        cdef int handle = self._handle(eni_id)
        cdef EniSlots *eni = self.ports[handle]
        cdef EniStats value = EniStats.__new__(EniStats)
        self._c_expire(c_now(now_ns))
        value.eni = self._eni(handle)
        value.addresses = popcount(eni.attached[LONE])
        value.prefixes = popcount(eni.attached[PREFIX])
        value.free_prefixes = popcount(eni.idle[PREFIX])
        value.slots_used = value.addresses + value.prefixes
        value.total = self._c_total(eni)
        value.assigned = self._c_sum(eni.n_held)
        value.cooling = self._c_sum(eni.n_cooling)
        value.assigned_any = eni.n_held[LONE] + eni.n_held[PREFIX]
        value.cooling_any = eni.n_cooling[LONE] + eni.n_cooling[PREFIX]
        return value

    def next_cool_ns(self, now_ns=None):
        self._c_expire(c_now(now_ns))
        if self.oldest == NONE:
            return None
        return self.records[self.oldest].released_ns + self._cooldown_ns + 1

    def growable_enis(self, int max_slots):
        cdef int rank
        cdef EniSlots *eni
        cdef list found = []
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            if not eni.excluded and (popcount(eni.attached[LONE])
                                     + popcount(eni.attached[PREFIX])) < max_slots:
                found.append(<str> eni.eni_id)
        return found

    def find_freeable_eni(self, *, int warm_ip, int minimum_ip, int warm_prefix,
                          double min_age_s=60, now_ns=None):
        cdef int64_t now = c_now(now_ns)
        cdef int rank, free_in_all = 0, total_in_all = 0, prefixes_in_all = 0, chosen
        cdef EniSlots *eni
        cdef list candidates = []
        cdef dict reasons = {}
        cdef str why
        self._c_expire(now)
        if self.kinds == 2:
            warm_ip = (warm_ip + PER_PREFIX - 1) // PER_PREFIX * PER_PREFIX
            minimum_ip = (minimum_ip + PER_PREFIX - 1) // PER_PREFIX * PER_PREFIX
        else:
            warm_prefix = 0
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            prefixes_in_all += popcount(eni.idle[PREFIX])
            if not eni.excluded:
                total_in_all += self._c_total(eni)
                free_in_all += self._c_total(eni) - self._c_sum(eni.n_held)
        for rank in range(self.n_enis):
            eni = self.ports[self.order[rank]]
            why = self._why_kept(
                eni, now - <int64_t> (min_age_s * 1e9), warm_ip, minimum_ip, warm_prefix,
                free_in_all, total_in_all, prefixes_in_all)
            if why is None:
                candidates.append(<str> eni.eni_id)
            else:
                reasons[<str> eni.eni_id] = why
        answer = <FreeEniAnswer> FreeEniAnswer.__new__(FreeEniAnswer)
        answer.candidates = tuple(candidates)
        answer.reasons = reasons
        answer.eni_id = None
        if candidates:
            chosen = len(candidates) - 1
            if self._placement == ARBITRARY:
                chosen = self._c_below(len(candidates))
            answer.eni_id = candidates[chosen]
        return answer

    cdef str _why_kept(self, EniSlots *eni, int64_t born_by, int warm_ip, int minimum_ip,
                       int warm_prefix, int n_free, int total, int n_prefixes):
        """Return why an ENI cannot be freed; None: it can (pool-rules section 5.3)."""
        if eni.primary:
            return "primary"
        if eni.trunk:
            return "trunk"
        if eni.efa:
            return "efa"
        if eni.created_ns > born_by:
            return "too young"
        if eni.n_held[LONE] + eni.n_held[PREFIX]:
            return "has pods"
        if eni.n_cooling[LONE] + eni.n_cooling[PREFIX]:
            return "cooling"
        if not eni.excluded:
            n_free -= self._c_total(eni)
            total -= self._c_total(eni)
        if warm_ip and n_free < warm_ip:
            return "needed for WARM_IP_TARGET"
        if minimum_ip and total < minimum_ip:
            return "needed for MINIMUM_IP_TARGET"
        if warm_prefix and n_prefixes - popcount(eni.idle[PREFIX]) < warm_prefix:
            return "needed for WARM_PREFIX_TARGET"
        return None


cdef int c_slot_of(EniSlots *eni, int kind, uint32_t base) noexcept nogil:
    """Return the slot that holds this base, -1 if none does."""
    cdef uint64_t slots = eni.attached[kind]
    while slots:
        if (eni.lone[first_set(slots)].base if kind == LONE
                else eni.prefixes.slot[first_set(slots)].base) == base:
            return first_set(slots)
        slots &= slots - 1
    return -1


cdef void c_relevel(EniSlots *eni, int slot, int before, int after) noexcept nogil:
    """Move a prefix between the levels of `before` and `after` free addresses."""
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


cdef void c_free_eni(EniSlots *eni) noexcept:
    Py_XDECREF(eni.eni_id)
    Py_XDECREF(eni.subnet_id)
    free(eni.lone)
    if eni.prefixes != NULL:
        free(eni.prefixes.slot)
        free(eni.prefixes)
    free(eni)
