"""The DataStore: the Python face of a Pool (docs/core.md has the layout and the costs).

A method parses its arguments, waits for its turn, and then runs C code to the end.
From the moment it reads the pool until it is done with what it read, it makes nothing
that could start a garbage collection or run a caller's code: lists are made before,
and the values are outside the collector. So a method under the GIL is one step for
other threads; batches, which let the GIL go, hold the store's own lock instead.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from cpython.pythread cimport (
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    WAIT_LOCK,
)
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from ipam_core._bits cimport bit, first_set, last_set, popcount
from ipam_core._ledger cimport (
    UNUSED,
    Record,
    ledger_at,
    ledger_close,
    ledger_find,
    ledger_init,
    ledger_reserve,
    ledger_seek,
    ledger_unhang,
    record_forget,
)
from ipam_core._pool cimport (
    ALREADY,
    ARBITRARY,
    DONE,
    EXHAUSTED,
    FIRST,
    N_ENIS,
    NO_MEMORY,
    PACK,
    SPREAD,
    Place,
    pool_add,
    pool_address,
    pool_any,
    pool_assign,
    pool_cool,
    pool_counts,
    pool_empty_slot,
    pool_expire,
    pool_hold,
    pool_locate,
    pool_n_assignable,
    pool_open,
    pool_ranked,
    pool_record_at,
    pool_record_for,
    pool_refresh,
    pool_release,
    pool_remove,
    pool_take,
)
from ipam_core._proof cimport prove
from ipam_core._slots cimport (
    COOLING,
    FREE,
    HELD,
    LONE,
    N_CELLS,
    N_KINDS,
    N_SLOTS,
    NONE,
    PER_CELL,
    PREFIX,
    WIDE,
    EniState,
    eni_free,
    slot_attach,
    slot_base,
    slot_count,
    slot_extent,
    slot_find,
    slot_reserve,
    slot_room,
    slot_size,
    window_reach,
)
from ipam_core._text cimport address_text, prefix_text, read_address, read_ipv4, read_prefix
from ipam_core._values cimport (
    Assignment,
    Eni,
    EniStats,
    FreeEniAnswer,
    PoolStats,
    Sandbox,
    UsedAddress,
    sandbox_of,
)

import ipam_core._values as values
from ipam_core._snapshot import names_of, sandbox_named, seal, unseal
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

# A cimported type is no attribute of the module by itself.
globals().update({name: getattr(values, name) for name in values.__all__})

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)
    int CLOCK_MONOTONIC_COARSE

_KINDS = {
    "secondary-ip": 1 << LONE,
    "prefix": 1 << PREFIX,
    "mixed": 1 << LONE | 1 << PREFIX,
    "ipv6": 1 << WIDE,
}
_PLACEMENTS = {"pack": PACK, "first": FIRST, "spread": SPREAD, "arbitrary": ARBITRARY}

cdef int64_t MOST_NS = <int64_t> 1 << 62    # differences of times do not overflow
cdef int64_t MOST_COOLDOWN_S = 1_000_000_000
cdef uint64_t NOTHING = 0xFFFF_FFFF_FFFF_FFFF


cdef int64_t within(object value, int64_t least, int64_t most, str name) except? -1:
    """Return an argument as a C integer. Raises `ValueError` where it is out of range."""
    cdef int overflow
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not least <= number <= most:
        raise ValueError(f"{name} {value}: from {least} to {most}")
    return number


cdef inline int64_t read_now(object now_ns) except? -1:
    """Return the time that a caller gave, or the coarse monotonic clock's."""
    cdef timespec now
    cdef int overflow
    cdef int64_t number
    if now_ns is None:
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
        return <int64_t> now.tv_sec * 1_000_000_000 + now.tv_nsec
    number = PyLong_AsLongLongAndOverflow(now_ns, &overflow)
    if overflow or not -MOST_NS < number < MOST_NS:
        raise ValueError(f"now_ns {now_ns}: within 2**62 nanoseconds")
    return number


cdef object one_of(dict names, object name, str what):
    """Return what a name stands for. Raises `ValueError` where it is none of them."""
    if name not in names:
        raise ValueError(f"{what} {name!r}: one of {', '.join(names)}")
    return names[name]


cdef int n_slots(const EniState *eni) noexcept:
    cdef int kind, n = 0
    for kind in range(N_KINDS):
        n += popcount(eni.groups[kind].attached)
    return n


cdef inline int64_t eni_total(const EniState *eni, int kind) noexcept:
    """Return how many addresses of a kind an ENI has."""
    return slot_size(kind) * popcount(eni.groups[kind].attached)


cdef str why_kept(const EniState *eni, int64_t born_by):
    """Return why an ENI cannot be freed whatever the targets, None where it can."""
    cdef int kind
    if eni.primary:
        return "primary"
    if eni.trunk:
        return "trunk"
    if eni.efa:
        return "efa"
    if eni.created_ns > born_by:
        return "too young"
    for kind in range(N_KINDS):
        if eni.groups[kind].n_held:
            return "has pods"
    for kind in range(N_KINDS):
        if eni.groups[kind].n_cooling:
            return "cooling"
    return None


cdef tuple batch_of(object digests):
    """Return a batch's digests, copied, and an array for addresses, as arrays."""
    import numpy as np

    rows = np.array(digests, order="C", ndmin=2)
    if rows.dtype != np.uint64:
        raise TypeError(f"digests are uint64, not {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"digests have shape (n, 2), not {rows.shape}")
    return rows, np.empty_like(rows)


cdef int by_words(const void *one, const void *other) noexcept nogil:
    """Order digests, for qsort."""
    cdef const uint64_t *a = <const uint64_t*> one
    cdef const uint64_t *b = <const uint64_t*> other
    cdef int by_first = (a[0] > b[0]) - (a[0] < b[0])
    return by_first if by_first else (a[1] > b[1]) - (a[1] < b[1])


@cython.final
cdef class DataStore:
    """One network card's ENIs, their addresses, and the sandboxes that hold them.

    `mode` says which kinds are assigned from and counted: "secondary-ip", "prefix",
    "mixed" (both; prefixes first) or "ipv6"; what is attached of another kind drains.
    A released address cools for `cooldown_s` seconds and is assigned again only when
    more has passed. `placement` chooses the address: "pack" (lowest device number,
    there the fullest prefix, there the lowest address), "first" (lowest device number,
    slot and address), "spread" (the ENI with most free, there as "first") or
    "arbitrary" (any ENI and slot, by `seed`, as the real agent's walk over its maps;
    there one that has cooled before the lowest never used; pool-rules section 3).

    `now_ns` is monotonic nanoseconds, and may be left out of every call: the coarse
    monotonic clock is read then. Time must not go back: what has cooled stays so. All
    calls may come from several threads. A call that raises leaves the store as it was,
    but that cooldowns over by now are seen to be over.
    """

    MAX_ENIS = N_ENIS
    MAX_SLOTS = N_SLOTS

    def __cinit__(self):
        self._numbers = {}
        self.lock = PyThread_allocate_lock()
        if ledger_init(&self.pool.ledger) < 0 or self.lock == NULL:
            raise MemoryError

    def __init__(self, mode="secondary-ip", *, cooldown_s=30, placement="pack", seed=0):
        kinds = one_of(_KINDS, mode, "mode")
        chosen = one_of(_PLACEMENTS, placement, "placement")
        if not 0 <= cooldown_s <= MOST_COOLDOWN_S:
            raise ValueError(f"cooldown_s {cooldown_s!r}: from 0 to {MOST_COOLDOWN_S}")
        cooldown_ns = round(cooldown_s * 1_000_000_000)
        random = seed & NOTHING
        self.wait()
        self.pool.kinds = kinds
        self.pool.placement = chosen
        self.pool.cooldown_ns = cooldown_ns
        self.pool.random = random

    def __dealloc__(self):
        cdef int rank
        for rank in range(self.pool.n_enis):
            Py_DECREF(<object> pool_ranked(&self.pool, rank).eni_id)
            Py_DECREF(<object> pool_ranked(&self.pool, rank).subnet_id)
            eni_free(pool_ranked(&self.pool, rank))
        ledger_close(&self.pool.ledger)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    # --- threads ------------------------------------------------------------------------

    cdef int hold(self) except -1:
        """Keep every other call out until `let_go`, so that the GIL can be let go."""
        self.wait()
        self.busy = True
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        return 0

    cdef void let_go(self) noexcept:
        """Let other calls in again. Needs the GIL."""
        self.busy = False
        PyThread_release_lock(self.lock)

    cdef inline int wait(self) except -1:
        """Wait while somebody holds the store. `busy` changes only under the GIL."""
        while self.busy:
            with nogil:
                PyThread_acquire_lock(self.lock, WAIT_LOCK)
                PyThread_release_lock(self.lock)
        return 0

    # --- what it is ---------------------------------------------------------------------

    @property
    def mode(self):
        """The kinds that are assigned from and counted. Settable; the others drain."""
        return next(name for name, kinds in _KINDS.items() if kinds == self.pool.kinds)

    @mode.setter
    def mode(self, mode):
        kinds = one_of(_KINDS, mode, "mode")
        self.wait()
        self.pool.kinds = kinds

    @property
    def cooldown_ns(self):
        """How long a released address cools, in nanoseconds."""
        return self.pool.cooldown_ns

    @property
    def placement(self):
        """How an address is chosen."""
        return next(name for name, value in _PLACEMENTS.items()
                    if value == self.pool.placement)

    # --- ENIs ---------------------------------------------------------------------------

    def add_eni(self, str eni_id not None, *, device_number, network_card=0,
                bint primary=False, bint trunk=False, bint efa=False, bint excluded=False,
                created_ns=None, str subnet_id not None="", route_table=0):
        """Add an ENI without addresses.

        `created_ns` is when it came, on the monotonic clock; `find_freeable_eni` goes by
        it. An `excluded` ENI gives no address and counts in no address statistic.

        Raises `DuplicateError`; beyond 64 ENIs `CapacityError`. Cost: O(ENIs).
        """
        cdef int device = within(device_number, 0, 0x7FFF_FFFF, "device_number")
        cdef int card = within(network_card, 0, 0x7FFF_FFFF, "network_card")
        cdef int route = within(route_table, 0, 0x7FFF_FFFF, "route_table")
        cdef int64_t created = read_now(created_ns)
        cdef EniState *eni
        self.wait()
        if eni_id in self._numbers:
            raise DuplicateError("ENI", eni_id)
        if self.pool.n_enis == N_ENIS:
            raise CapacityError("ENIs of a store", N_ENIS)
        eni = <EniState*> PyMem_RawCalloc(1, sizeof(EniState))
        if eni == NULL:
            raise MemoryError
        eni.eni_id, eni.subnet_id = <PyObject*> eni_id, <PyObject*> subnet_id
        eni.device_number, eni.network_card, eni.route_table = device, card, route
        eni.created_ns = created
        eni.primary, eni.trunk, eni.efa, eni.excluded = primary, trunk, efa, excluded
        number = pool_add(&self.pool, eni)
        Py_INCREF(eni_id)
        Py_INCREF(subnet_id)
        self._numbers[eni_id] = number

    def remove_eni(self, str eni_id not None, *, bint force=False):
        """Remove an ENI and all its addresses; return the assignments that went with it.

        Raises `UnknownEniError`; without `force` `AddressInUseError` where sandboxes hold
        addresses of it. Cost: O(its slots and records).
        """
        cdef list lost = []
        cdef int number, kind, n_held = 0
        cdef uint64_t slots
        cdef EniState *eni
        self.wait()
        number = self.number_of(eni_id)
        eni = self.pool.enis[number]
        for kind in range(N_KINDS):
            n_held += eni.groups[kind].n_held
        if n_held and not force:
            raise AddressInUseError(f"ENI {eni_id!r}", n_held)
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached & ~eni.groups[kind].idle
            while slots:
                self._list_held(number, kind, first_set(slots), lost)
                slots &= slots - 1
        del self._numbers[eni_id]
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached
            while slots:
                pool_empty_slot(&self.pool, eni, number, kind, first_set(slots))
                slots &= slots - 1
        pool_remove(&self.pool, number)
        Py_DECREF(<object> eni.eni_id)
        Py_DECREF(<object> eni.subnet_id)
        eni_free(eni)
        return lost

    def exclude_eni(self, str eni_id not None):
        """Take an ENI out of assignment and of every address statistic; its pods stay.

        Raises `UnknownEniError`. Cost: constant.
        """
        self._set_excluded(eni_id, True)

    def include_eni(self, str eni_id not None):
        """Take an excluded ENI in again. Raises `UnknownEniError`. Cost: constant."""
        self._set_excluded(eni_id, False)

    cdef _set_excluded(self, str eni_id, bint excluded):
        cdef int kind
        cdef EniState *eni
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        eni.excluded = excluded
        for kind in range(N_KINDS):
            pool_refresh(&self.pool, eni, kind)

    def eni(self, str eni_id not None):
        """Return what is known of an ENI. Raises `UnknownEniError`. Cost: constant."""
        self.wait()
        return self.eni_of(self.number_of(eni_id))

    def enis(self):
        """Return all ENIs, lowest device number first. Cost: O(ENIs)."""
        cdef list found = []
        cdef int rank
        self.wait()
        for rank in range(self.pool.n_enis):
            found.append(self.eni_of(self.pool.order[rank]))
        return tuple(found)

    def __contains__(self, eni_id):
        return eni_id in self._numbers

    cdef int number_of(self, str eni_id) except -1:
        number = self._numbers.get(eni_id)
        if number is None:
            raise UnknownEniError(eni_id)
        return number

    cdef Eni eni_of(self, int number):
        cdef EniState *eni = self.pool.enis[number]
        cdef Eni value = Eni.__new__(Eni)
        value.eni_id, value.subnet_id = <str> eni.eni_id, <str> eni.subnet_id
        value.device_number, value.network_card = eni.device_number, eni.network_card
        value.route_table, value.created_ns = eni.route_table, eni.created_ns
        value.primary, value.trunk = eni.primary, eni.trunk
        value.efa, value.excluded = eni.efa, eni.excluded
        return value

    # --- secondary IPs and prefixes -----------------------------------------------------

    def add_address(self, str eni_id not None, str address not None):
        """Attach a secondary IPv4 address to an ENI.

        Raises `UnknownEniError`; `DuplicateError` where it is attached already or inside
        an attached prefix; beyond 63 slots `CapacityError`; `ValueError` where it is not
        an IPv4 address. Cost: one pass over the store's slots.
        """
        cdef uint64_t low
        read_ipv4(address, &low)
        self._attach(eni_id, LONE, 0, low, address, -1)

    def add_prefix(self, str eni_id not None, str prefix not None):
        """Attach an IPv4 /28 or an IPv6 /80 to an ENI. Raises and costs as `add_address`."""
        cdef int kind
        cdef uint64_t high, low
        read_prefix(prefix, &kind, &high, &low)
        self._attach(eni_id, kind, high, low, prefix, -1)

    cdef int _attach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                     int slot) except -1:
        """Put an address or prefix into a slot, -1 for the lowest that is empty."""
        cdef EniState *eni
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        if self._is_taken(kind, high, low):
            raise DuplicateError("address" if kind == LONE else "prefix", text)
        if n_slots(eni) >= N_SLOTS:
            raise CapacityError(f"slots of ENI {eni_id!r}", N_SLOTS)
        if slot < 0:
            slot = first_set(~eni.groups[kind].attached)
        elif eni.groups[kind].attached & bit(slot):
            raise DuplicateError("slot", str(slot))
        if slot_reserve(eni, kind, slot) < 0:
            raise MemoryError
        slot_attach(eni, kind, slot, high, low)
        pool_refresh(&self.pool, eni, kind)
        return 0

    cdef bint _is_taken(self, int kind, uint64_t high, uint64_t low) noexcept:
        """Return whether any of these addresses is attached to some ENI."""
        cdef EniState *eni
        cdef uint64_t slots
        cdef uint32_t size = PER_CELL if kind == PREFIX else 1
        cdef int rank
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            if kind == WIDE:
                if slot_find(eni, WIDE, high, low) >= 0:
                    return True
                continue
            if slot_find(eni, PREFIX, 0, low & ~<uint64_t> 15) >= 0:
                return True
            slots = eni.groups[LONE].attached
            while slots:
                if eni.lones[first_set(slots)].address - <uint32_t> low < size:
                    return True
                slots &= slots - 1
        return False

    def remove_address(self, str eni_id not None, str address not None, *, bint force=False):
        """Detach a secondary IP; return the assignment that went with it, in a list.

        Raises `UnknownEniError`, `UnknownAddressError`; without `force`
        `AddressInUseError` where a sandbox holds it. Cost: one pass over the ENI's slots.
        """
        cdef uint64_t low
        read_ipv4(address, &low)
        return self._detach(eni_id, LONE, 0, low, address, force)

    def remove_prefix(self, str eni_id not None, str prefix not None, *, bint force=False):
        """Detach a prefix; return the assignments that went with it. As `remove_address`."""
        cdef int kind
        cdef uint64_t high, low
        read_prefix(prefix, &kind, &high, &low)
        return self._detach(eni_id, kind, high, low, prefix, force)

    cdef list _detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                      bint force):
        cdef list lost = []
        cdef EniState *eni
        cdef int number, slot
        self.wait()
        number = self.number_of(eni_id)
        eni = self.pool.enis[number]
        slot = slot_find(eni, kind, high, low)
        if slot < 0:
            raise UnknownAddressError(text, f"ENI {eni_id!r}")
        if not force and not eni.groups[kind].idle & bit(slot):
            raise AddressInUseError(text, slot_count(eni, kind, slot, HELD))
        self._list_held(number, kind, slot, lost)
        pool_empty_slot(&self.pool, eni, number, kind, slot)
        return lost

    cdef int _list_held(self, int number, int kind, int slot, list held) except -1:
        """List the assignments of a slot."""
        cdef Place place = Place(number, kind, slot, 0)
        cdef uint32_t offset, record
        for offset in range(slot_extent(self.pool.enis[number], kind, slot)):
            place.offset = offset
            record = pool_record_at(&self.pool, place)
            if record != NONE and self.pool.ledger.records[record].state == HELD:
                held.append(self.assignment_of(record))
        return 0

    def addresses(self, str eni_id not None):
        """Return an ENI's secondary IPs, by slot. Raises `UnknownEniError`."""
        return self._texts(eni_id, 1 << LONE, False, True, None)

    def prefixes(self, str eni_id not None):
        """Return an ENI's prefixes, by slot. Raises `UnknownEniError`."""
        return self._texts(eni_id, 1 << PREFIX | 1 << WIDE, False, True, None)

    def freeable_addresses(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs without a pod; without `cooling` none that cools."""
        return self._texts(eni_id, 1 << LONE, True, cooling, now_ns)

    def freeable_prefixes(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's prefixes without a pod; without `cooling` none in which one cools."""
        return self._texts(eni_id, 1 << PREFIX | 1 << WIDE, True, cooling, now_ns)

    cdef list _texts(self, str eni_id, int kinds, bint only_idle, bint cooling, object now_ns):
        cdef list found = []
        cdef int64_t now = read_now(now_ns)
        cdef uint64_t base[N_SLOTS][2]
        cdef int kind_of[N_SLOTS]
        cdef EniState *eni
        cdef uint64_t slots
        cdef int kind, slot, n = 0
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        if not cooling:
            pool_expire(&self.pool, now)
        for kind in range(N_KINDS):
            slots = eni.groups[kind].idle if only_idle else eni.groups[kind].attached
            while slots and kinds >> kind & 1:
                slot = first_set(slots)
                slots &= slots - 1
                if cooling or slot_count(eni, kind, slot, COOLING) == 0:
                    kind_of[n] = kind
                    slot_base(eni, kind, slot, &base[n][0], &base[n][1])
                    n += 1
        for slot in range(n):
            kind = kind_of[slot]
            found.append(address_text(LONE, 0, base[slot][1]) if kind == LONE
                         else prefix_text(kind, base[slot][0], base[slot][1]))
        return found

    # --- pods ---------------------------------------------------------------------------

    def assign(self, Sandbox sandbox not None, str pod=None, now_ns=None):
        """Assign an address to a sandbox; one that has an address keeps it.

        `pod` is "namespace/name", or whatever shall come back with the assignment.
        Raises `PoolExhaustedError` where nothing can be given now. Cost: constant.
        Source: pool-rules section 3.
        """
        cdef int64_t now = read_now(now_ns)
        cdef Assignment given
        cdef uint32_t number
        cdef int answer
        self.wait()
        given = Assignment.__new__(Assignment)
        answer = pool_assign(&self.pool, sandbox.c_digest, now, &number)
        if answer == ALREADY:
            return self.assignment_of(number)
        if answer != DONE:
            raise self._refused(answer, now)
        return self._own(number, given, sandbox, pod)

    def adopt(self, Sandbox sandbox not None, str address not None, str pod=None, now_ns=None):
        """Assign a given address, of any kind, cooling or not: what a restart takes over.

        Raises `UnknownAddressError` where it is not attached; `AddressInUseError` where
        another sandbox holds it; `DuplicateError` where the sandbox holds another;
        `CapacityError` beyond the first 65,536 of an IPv6 prefix. Cost: one pass over the
        store's slots.
        """
        cdef int64_t now = read_now(now_ns)
        cdef Place place = self._place_of(address)
        cdef uint32_t number = pool_record_at(&self.pool, place)
        cdef uint32_t position, other
        cdef Assignment given
        self._reserve(place)
        position = ledger_seek(&self.pool.ledger, sandbox.c_digest)
        other = ledger_at(&self.pool.ledger, position)
        if other != NONE:
            if other != number:
                raise DuplicateError("assignment of", repr(sandbox))
            return self.assignment_of(number)
        if number != NONE and self.pool.ledger.records[number].state == HELD:
            raise AddressInUseError(address)
        given = Assignment.__new__(Assignment)
        number = pool_record_for(&self.pool, place)
        if self.pool.ledger.records[number].state == COOLING:
            pool_open(&self.pool, number)
        pool_hold(&self.pool, number, position, sandbox.c_digest, now)
        return self._own(number, given, sandbox, pod)

    def cool(self, str address not None, released_ns):
        """Let a free address cool from `released_ns` on: what a restart may take over.

        Raises `UnknownAddressError`, `CapacityError` as `adopt`; `AddressInUseError` where
        it is held or cooling. Cost: one pass over the store's slots.
        """
        cdef int64_t released = read_now(released_ns)
        cdef Place place = self._place_of(address)
        cdef uint32_t number = pool_record_at(&self.pool, place)
        if number != NONE and self.pool.ledger.records[number].state in (HELD, COOLING):
            raise AddressInUseError(address)
        self._reserve(place)
        number = pool_record_for(&self.pool, place)
        pool_take(&self.pool, number)
        pool_cool(&self.pool, number, released)

    def release(self, Sandbox sandbox not None, now_ns=None):
        """Release what a sandbox holds and let it cool; return what it held.

        Raises `UnknownSandboxError` where it holds nothing. Cost: constant.
        """
        cdef int64_t now = read_now(now_ns)
        cdef Assignment released
        cdef uint32_t position, number
        self.wait()
        position = ledger_seek(&self.pool.ledger, sandbox.c_digest)
        number = ledger_at(&self.pool.ledger, position)
        if number == NONE:
            raise UnknownSandboxError(sandbox)
        released = self.assignment_of(number)
        record_forget(&self.pool.ledger.records[number])
        ledger_unhang(&self.pool.ledger, position)
        pool_cool(&self.pool, number, now)
        return released

    def find(self, Sandbox sandbox not None):
        """Return what a sandbox holds, or None. Cost: constant."""
        cdef uint32_t number
        self.wait()
        number = ledger_find(&self.pool.ledger, sandbox.c_digest)
        return None if number == NONE else self.assignment_of(number)

    def find_address(self, str address not None):
        """Return the assignment of an address, or None. Cost: one pass over the slots."""
        cdef Place place
        cdef uint32_t number
        cdef int family
        cdef uint64_t high, low
        read_address(address, &family, &high, &low)
        self.wait()
        if not pool_locate(&self.pool, family, high, low, &place):
            return None
        number = pool_record_at(&self.pool, place)
        if number == NONE or self.pool.ledger.records[number].state != HELD:
            return None
        return self.assignment_of(number)

    def assignments(self):
        """Return an iterator over the assignments as they are now. Cost: O(records)."""
        cdef list found = []
        cdef uint32_t number
        self.wait()
        for number in range(self.pool.ledger.n_records):
            if self.pool.ledger.records[number].state == HELD:
                found.append(self.assignment_of(number))
        return iter(found)

    def used_addresses(self, str eni_id not None):
        """Return an ENI's addresses that are or were held or cooling, in address order.

        What the agent's /v1/enis endpoint lists. Raises `UnknownEniError`. Cost: O(the
        ENI's addresses).
        """
        cdef list found = [], places = []
        cdef EniState *eni
        cdef uint64_t slots
        cdef uint32_t number
        cdef UsedAddress used
        cdef Assignment where
        cdef Record *record
        cdef Place place
        self.wait()
        place.eni = self.number_of(eni_id)
        eni = self.pool.enis[place.eni]
        for place.kind in range(N_KINDS):
            slots = eni.groups[place.kind].attached
            while slots:
                place.slot = first_set(slots)
                slots &= slots - 1
                for place.offset in range(slot_extent(eni, place.kind, place.slot)):
                    number = pool_record_at(&self.pool, place)
                    if number == NONE:
                        continue
                    record = &self.pool.ledger.records[number]
                    where = self.assignment_of(number)
                    used = UsedAddress.__new__(UsedAddress)
                    if record.state == HELD:
                        used.sandbox, used.pod = where.sandbox, where.pod
                    used.assigned_ns, used.released_ns = record.assigned_ns, record.released_ns
                    found.append(used)
                    places.append(where)
        for used, where in zip(found, places):
            used.address, used.prefix = where.address, where.prefix
        order = [(where.c_kind, where.c_high, where.c_low) for where in places]
        return [found[k] for k in sorted(range(len(found)), key=order.__getitem__)]

    cdef Place _place_of(self, str address) except *:
        """Wait for a turn, then find where an address is. Raises `UnknownAddressError`."""
        cdef Place place
        cdef int family
        cdef uint64_t high, low
        read_address(address, &family, &high, &low)
        self.wait()
        if not pool_locate(&self.pool, family, high, low, &place):
            raise UnknownAddressError(address, "any ENI")
        return place

    cdef int _reserve(self, Place place) except -1:
        """Make room for a record of an address, and for the address in its window."""
        if place.kind == WIDE:
            if place.offset >= N_CELLS * PER_CELL:
                raise CapacityError("addresses given out of an IPv6 prefix",
                                    N_CELLS * PER_CELL)
            if window_reach(&self.pool.enis[place.eni].wides[place.slot], place.offset) < 0:
                raise MemoryError
        if ledger_reserve(&self.pool.ledger) < 0:
            raise MemoryError
        return 0

    cdef inline Assignment _own(self, uint32_t number, Assignment given, Sandbox sandbox,
                                str pod):
        """Fill in the assignment of a record that is newly held; the record keeps it."""
        cdef Record *record = &self.pool.ledger.records[number]
        given.sandbox, given.pod = sandbox, pod
        self._describe(number, given)
        Py_INCREF(given)
        record.assignment = <PyObject*> given
        return given

    cdef inline void _describe(self, uint32_t number, Assignment value) noexcept:
        """Fill in what a record says of its address."""
        cdef Record *record = &self.pool.ledger.records[number]
        cdef EniState *eni = self.pool.enis[record.eni]
        value.eni_id, value.device_number = <str> eni.eni_id, eni.device_number
        value.assigned_ns, value.c_kind = record.assigned_ns, record.kind
        pool_address(&self.pool, number, &value.c_high, &value.c_low)

    cdef Assignment assignment_of(self, uint32_t number):
        """Return the assignment, or the former one, of a record; a batch made none yet."""
        cdef Record *record = &self.pool.ledger.records[number]
        cdef Assignment value
        if record.assignment != NULL:
            return <Assignment> record.assignment
        value = Assignment.__new__(Assignment)
        value.sandbox = sandbox_of(record.digest)
        self._describe(number, value)
        return value

    cdef object _refused(self, int answer, int64_t now_ns):
        """Return the exception for an answer of the pool's."""
        cdef PoolStats stats
        if answer == NO_MEMORY:
            return MemoryError()
        stats = self._stats(now_ns, -1)
        return PoolExhaustedError(
            total=stats.total, assigned=stats.assigned, cooling=stats.cooling)

    # --- without Python, and in batches ---------------------------------------------------

    cdef int c_assign(self, const uint64_t *digest, int64_t now_ns,
                      uint64_t *address) noexcept nogil:
        """Assign to a digest; see _store.pxd. Changes `address` only on DONE and ALREADY."""
        cdef uint32_t number
        cdef int answer = pool_assign(&self.pool, digest, now_ns, &number)
        if answer == DONE or answer == ALREADY:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    cdef int c_release(self, const uint64_t *digest, int64_t now_ns,
                       uint64_t *address) noexcept nogil:
        """Release what a digest holds; see _store.pxd. Changes `address` only on DONE."""
        cdef uint32_t number
        cdef int answer = pool_release(&self.pool, digest, now_ns, &number)
        if answer == DONE:
            pool_address(&self.pool, number, &address[0], &address[1])
        return answer

    def assign_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Assign an address to each of n sandboxes, without the GIL.

        `digests` is (n, 2) uint64, a row a sandbox's digest (`Sandbox.digest`). Returns
        (n, 2) uint64, each address as its high and low 64 bits. Sandboxes that hold an
        address keep it. With `partial`, rows for which there was none are all ones;
        without, `PoolExhaustedError` says that there are not enough, and none is assigned.
        After a `MemoryError` the rows before it hold their addresses. Cost: constant a row.
        """
        cdef int64_t now = read_now(now_ns)
        cdef tuple batch = batch_of(digests)
        cdef const uint64_t[:, ::1] digest = batch[0]
        cdef uint64_t[:, ::1] address = batch[1]
        cdef Py_ssize_t row
        cdef int answer = DONE
        self.hold()
        try:
            with nogil:
                pool_expire(&self.pool, now)
                if not partial:
                    answer = self._enough_for(digest)
                for row in range(digest.shape[0] if answer == DONE else 0):
                    answer = self.c_assign(&digest[row, 0], now, &address[row, 0])
                    if answer == NO_MEMORY:
                        break
                    if answer == EXHAUSTED:
                        address[row, 0] = address[row, 1] = NOTHING
        finally:
            self.let_go()
        if answer == NO_MEMORY or answer == EXHAUSTED and not partial:
            raise self._refused(answer, now)
        return batch[1]

    def release_many(self, digests not None, now_ns=None, *, bint partial=False):
        """Release what each of n sandboxes holds, without the GIL.

        `digests` and the result are as in `assign_many`. With `partial`, rows of sandboxes
        that hold nothing are all ones; without, `UnknownSandboxError` names the first of
        these, or the first that comes twice, and none is released. Cost: constant a row.
        """
        cdef int64_t now = read_now(now_ns)
        cdef tuple batch = batch_of(digests)
        cdef const uint64_t[:, ::1] digest = batch[0]
        cdef uint64_t[:, ::1] address = batch[1]
        cdef Py_ssize_t row, n = digest.shape[0], unknown = n
        self.hold()
        try:
            with nogil:
                if not partial:
                    unknown = self._first_unknown(digest)
                for row in range(n if unknown == n else 0):
                    if self.c_release(&digest[row, 0], now, &address[row, 0]) != DONE:
                        address[row, 0] = address[row, 1] = NOTHING
        finally:
            self.let_go()
        if unknown < n:
            raise UnknownSandboxError(sandbox_of(&digest[unknown, 0]))
        return batch[1]

    cdef int _enough_for(self, const uint64_t[:, ::1] digest) noexcept nogil:
        """Return DONE where each row that holds nothing can be given an address."""
        cdef int64_t n_free = pool_n_assignable(&self.pool), n_new = 0
        cdef Py_ssize_t row
        cdef uint64_t *new
        for row in range(digest.shape[0]):
            n_new += ledger_find(&self.pool.ledger, &digest[row, 0]) == NONE
        if n_new <= n_free:
            return DONE
        # Too many, unless some come twice: sort them to count each once.
        new = <uint64_t*> PyMem_RawMalloc(n_new * 2 * sizeof(uint64_t))
        if new == NULL:
            return NO_MEMORY
        n_new = 0
        for row in range(digest.shape[0]):
            if ledger_find(&self.pool.ledger, &digest[row, 0]) == NONE:
                new[2 * n_new], new[2 * n_new + 1] = digest[row, 0], digest[row, 1]
                n_new += 1
        qsort(new, n_new, 2 * sizeof(uint64_t), by_words)
        for row in range(1, n_new):
            n_free += by_words(&new[2 * row - 2], &new[2 * row]) == 0
        PyMem_RawFree(new)
        return DONE if n_new <= n_free else EXHAUSTED

    cdef Py_ssize_t _first_unknown(self, const uint64_t[:, ::1] digest) noexcept nogil:
        """Return the first row that holds nothing or comes twice; n where there is none."""
        cdef Py_ssize_t row, first = 0
        cdef uint32_t number
        while first < digest.shape[0]:
            number = ledger_find(&self.pool.ledger, &digest[first, 0])
            if number == NONE or self.pool.ledger.records[number].state != HELD:
                break
            self.pool.ledger.records[number].state = UNUSED    # seen; undone below
            first += 1
        for row in range(first):
            number = ledger_find(&self.pool.ledger, &digest[row, 0])
            self.pool.ledger.records[number].state = HELD
        return first

    # --- questions ----------------------------------------------------------------------

    def stats(self, now_ns=None, network_card=None):
        """Return the counts of all ENIs, or of one network card's. Cost: O(ENIs)."""
        cdef int64_t now = read_now(now_ns)
        cdef int card = -1
        if network_card is not None:
            card = within(network_card, 0, 0x7FFF_FFFF, "network_card")
        self.wait()
        return self._stats(now, card)

    cdef PoolStats _stats(self, int64_t now_ns, int card):
        cdef PoolStats value = PoolStats.__new__(PoolStats)
        cdef EniState *eni
        cdef int rank, kind
        pool_expire(&self.pool, now_ns)
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            if card >= 0 and eni.network_card != card:
                continue
            value.enis += 1
            for kind in range(N_KINDS):
                if not eni.groups[kind].attached:
                    continue
                if kind != LONE:
                    value.prefixes += popcount(eni.groups[kind].attached)
                    value.free_prefixes += popcount(eni.groups[kind].idle)
                if not eni.excluded and pool_counts(&self.pool, kind):
                    value.total += eni_total(eni, kind)
                    value.assigned += eni.groups[kind].n_held
                    value.cooling += eni.groups[kind].n_cooling
        return value

    def eni_stats(self, str eni_id not None, now_ns=None):
        """Return one ENI's counts, excluded or not. Raises `UnknownEniError`. Cost: constant."""
        cdef int64_t now = read_now(now_ns)
        cdef EniStats value = EniStats.__new__(EniStats)
        cdef EniState *eni
        cdef int number, kind
        self.wait()
        number = self.number_of(eni_id)
        eni = self.pool.enis[number]
        pool_expire(&self.pool, now)
        value.eni = self.eni_of(number)
        value.addresses = popcount(eni.groups[LONE].attached)
        for kind in range(N_KINDS):
            if kind != LONE:
                value.prefixes += popcount(eni.groups[kind].attached)
                value.free_prefixes += popcount(eni.groups[kind].idle)
            if pool_counts(&self.pool, kind):
                value.total += eni_total(eni, kind)
                value.assigned += eni.groups[kind].n_held
                value.cooling += eni.groups[kind].n_cooling
            value.assigned_any += eni.groups[kind].n_held
            value.cooling_any += eni.groups[kind].n_cooling
        value.slots_used = value.addresses + value.prefixes
        return value

    def next_cool_ns(self, now_ns=None):
        """Return when the next cooldown is over, None where nothing cools. Cost: constant."""
        cdef int64_t now = read_now(now_ns)
        self.wait()
        pool_expire(&self.pool, now)
        if self.pool.ledger.oldest == NONE:
            return None
        return (self.pool.ledger.records[self.pool.ledger.oldest].released_ns
                + self.pool.cooldown_ns + 1)

    def growable_enis(self, int max_slots):
        """Return the ENIs, not excluded, with fewer than `max_slots` slots in use."""
        cdef list found = []
        cdef EniState *eni
        cdef int rank
        self.wait()
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            if not eni.excluded and n_slots(eni) < max_slots:
                found.append(<str> eni.eni_id)
        return found

    def find_freeable_eni(self, *, warm_ip, minimum_ip, warm_prefix, double min_age_s=60,
                          now_ns=None):
        """Find an ENI that can be freed under these targets, and why each other cannot.

        In prefix mode the first two are rounded up to whole prefixes, and only there does
        `warm_prefix` count; targets of 0 and below ask for nothing. The answer is any
        candidate (by the seed) under `arbitrary`, else the one with the highest device
        number. Cost: O(ENIs). Source: pool-rules section 5.3; getDeletableENI of
        pkg/ipamd/datastore/data_store.go.
        """
        cdef int64_t now = read_now(now_ns), born_by
        cdef int64_t need_free = within(warm_ip, -MOST_NS, MOST_NS, "warm_ip")
        cdef int64_t need_total = within(minimum_ip, -MOST_NS, MOST_NS, "minimum_ip")
        cdef int64_t need_idle = within(warm_prefix, -MOST_NS, MOST_NS, "warm_prefix")
        cdef int64_t free, total
        cdef PoolStats stats
        cdef FreeEniAnswer answer = FreeEniAnswer.__new__(FreeEniAnswer)
        cdef EniState *eni
        cdef list candidates = []
        cdef dict reasons = {}
        cdef str why
        cdef int rank, kind
        cdef uint64_t freeable = 0
        if not 0 <= min_age_s <= MOST_COOLDOWN_S:
            raise ValueError(f"min_age_s {min_age_s}: from 0 to {MOST_COOLDOWN_S}")
        born_by = now - <int64_t> (min_age_s * 1e9)
        self.wait()
        if self.pool.kinds == 1 << PREFIX:
            need_free = (need_free + PER_CELL - 1) // PER_CELL * PER_CELL
            need_total = (need_total + PER_CELL - 1) // PER_CELL * PER_CELL
        else:
            need_idle = 0
        stats = self._stats(now, -1)
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            free, total = stats.total - stats.assigned, stats.total
            for kind in range(N_KINDS):
                if not eni.excluded and pool_counts(&self.pool, kind):
                    free -= eni_total(eni, kind)
                    total -= eni_total(eni, kind)
            why = why_kept(eni, born_by)
            if why is None and need_free > 0 and free < need_free:
                why = "needed for WARM_IP_TARGET"
            if why is None and need_total > 0 and total < need_total:
                why = "needed for MINIMUM_IP_TARGET"
            if why is None and need_idle > 0 and need_idle > (
                    stats.free_prefixes - popcount(eni.groups[PREFIX].idle)
                    - popcount(eni.groups[WIDE].idle)):
                why = "needed for WARM_PREFIX_TARGET"
            if why is None:
                freeable |= bit(rank)
                candidates.append(<str> eni.eni_id)
            else:
                reasons[<str> eni.eni_id] = why
        if freeable:
            rank = (pool_any(&self.pool, freeable) if self.pool.placement == ARBITRARY
                    else last_set(freeable))
            answer.eni_id = <str> pool_ranked(&self.pool, rank).eni_id
        answer.candidates, answer.reasons = tuple(candidates), reasons
        return answer

    def free_counts(self, now_ns=None):
        """Return how many addresses each slot of the mode's own kinds can give now.

        uint32, by ENI (lowest device number first), then as `addresses` and `prefixes`
        list them. Cost: O(slots).
        """
        import numpy as np

        cdef int64_t now = read_now(now_ns)
        cdef uint32_t[::1] counts = np.empty(N_ENIS * N_SLOTS, dtype=np.uint32)
        cdef EniState *eni
        cdef uint64_t slots
        cdef int rank, kind, slot, n = 0
        self.wait()
        pool_expire(&self.pool, now)
        for rank in range(self.pool.n_enis):
            eni = pool_ranked(&self.pool, rank)
            for kind in range(N_KINDS):
                slots = eni.groups[kind].attached if pool_counts(&self.pool, kind) else 0
                while slots:
                    slot = first_set(slots)
                    slots &= slots - 1
                    counts[n] = 0 if eni.excluded else (
                        slot_room(kind) - slot_count(eni, kind, slot, HELD)
                        - slot_count(eni, kind, slot, COOLING))
                    n += 1
        return np.array(counts[:n])

    def assignment_ages_ns(self, now_ns=None):
        """Return how long ago each assignment was made, int64, in the order of `assignments`.

        Cost: O(records).
        """
        import numpy as np

        cdef int64_t now = read_now(now_ns)
        cdef int64_t[::1] ages
        cdef uint32_t number, n = 0
        cdef object found = None
        while found is None or len(found) != self.pool.ledger.n_hung:
            found = np.empty(self.pool.ledger.n_hung, dtype=np.int64)
            ages = found
            self.wait()
        for number in range(self.pool.ledger.n_records):
            if self.pool.ledger.records[number].state == HELD:
                ages[n] = now - self.pool.ledger.records[number].assigned_ns
                n += 1
        return found

    # --- the whole state ----------------------------------------------------------------

    def snapshot(self):
        """Return the whole state as bytes, cooldowns included; `restore` reads it.

        Times are kept as they are, on the monotonic clock. Cost: one pass.
        """
        cdef bint collecting = PyGC_Disable()    # a collection could run code that changes it
        cdef int rank
        try:
            self.wait()
            state = {
                "mode": self.mode,
                "placement": self.placement,
                "cooldown_ns": self.pool.cooldown_ns,
                "random": self.pool.random,
                "enis": [[self.eni_of(self.pool.order[rank]), self._dump_slots(rank)]
                         for rank in range(self.pool.n_enis)],
            }
        finally:
            if collecting:
                PyGC_Enable()
        return seal(state)

    cdef list _dump_slots(self, int rank):
        """Return an ENI's slots: kind, slot, first address, and the addresses ever used."""
        cdef EniState *eni = pool_ranked(&self.pool, rank)
        cdef Place place = Place(self.pool.order[rank], 0, 0, 0)
        cdef uint64_t high, low
        cdef list slots = [], uses
        for place.kind in range(N_KINDS):
            for place.slot in range(64):
                if eni.groups[place.kind].attached & bit(place.slot):
                    uses = []
                    for place.offset in range(slot_extent(eni, place.kind, place.slot)):
                        if pool_record_at(&self.pool, place) != NONE:
                            uses.append(self._dump_use(place))
                    slot_base(eni, place.kind, place.slot, &high, &low)
                    slots.append([place.kind, place.slot, high, low, uses])
        return slots

    cdef list _dump_use(self, Place place):
        cdef uint32_t number = pool_record_at(&self.pool, place)
        cdef Record *record = &self.pool.ledger.records[number]
        cdef Assignment held
        cdef object sandbox = None, pod = None
        if record.state == HELD:
            held = self.assignment_of(number)
            sandbox, pod = names_of(held.sandbox), held.pod
        return [place.offset, record.state, record.assigned_ns, record.released_ns, sandbox, pod]

    @classmethod
    def restore(cls, bytes snapshot not None):
        """Return the store that a snapshot was taken of.

        Raises `SnapshotError` where it is none, is damaged, or is of another version.
        """
        cdef DataStore store
        state = unseal(snapshot)
        try:
            store = DataStore(state["mode"], placement=state["placement"])
            store.pool.cooldown_ns = within(state["cooldown_ns"], 0,
                                            MOST_COOLDOWN_S * 1_000_000_000, "cooldown_ns")
            store.pool.random = state["random"]
            for fields, slots in state["enis"]:
                store.add_eni(**fields)
                for kind, slot, high, low, uses in slots:
                    store._load_slot(fields["eni_id"], kind, slot, high, low, uses)
        except (KeyError, TypeError, ValueError, OverflowError, IpamError) as error:
            raise SnapshotError(f"the snapshot does not hold a store: {error}") from error
        return store

    cdef int _load_slot(self, str eni_id, int kind, int slot, uint64_t high, uint64_t low,
                        list uses) except -1:
        cdef Place place = Place(self.number_of(eni_id), kind, slot, 0)
        cdef uint64_t beneath = 0
        if not (0 <= kind < N_KINDS and 0 <= slot < 64):
            raise ValueError(f"slot {slot} of kind {kind}")
        if kind != LONE:
            beneath = <uint64_t> slot_size(kind) - 1
        if low & beneath or (kind != WIDE and (high or low >> 32)):
            raise ValueError(f"address {high:x} {low:x} of kind {kind}")
        self._attach(eni_id, kind, high, low, f"{high:x} {low:x}", slot)
        for offset, state, assigned_ns, released_ns, sandbox, pod in uses:
            place.offset = offset
            if place.offset >= (1 if kind == LONE else PER_CELL if kind == PREFIX
                                else N_CELLS * PER_CELL):
                raise ValueError(f"offset {offset} in a slot of kind {kind}")
            self._load_use(place, state, read_now(assigned_ns), read_now(released_ns),
                           None if sandbox is None else sandbox_named(sandbox), pod)
        return 0

    cdef int _load_use(self, Place place, int state, int64_t assigned_ns, int64_t released_ns,
                       Sandbox sandbox, str pod) except -1:
        cdef uint32_t number, position
        if state not in (FREE, HELD, COOLING) or (state == HELD) != (sandbox is not None) or (
                pool_record_at(&self.pool, place) != NONE):
            raise ValueError(f"state {state} of an address")
        self._reserve(place)
        number = pool_record_for(&self.pool, place)
        if state == HELD:
            position = ledger_seek(&self.pool.ledger, sandbox.c_digest)
            if ledger_at(&self.pool.ledger, position) != NONE:
                raise ValueError(f"two addresses of {sandbox!r}")
            pool_hold(&self.pool, number, position, sandbox.c_digest, assigned_ns)
            self._own(number, Assignment.__new__(Assignment), sandbox, pod)
        else:
            pool_take(&self.pool, number)    # marks it as used
            pool_cool(&self.pool, number, released_ns)
            self.pool.ledger.records[number].assigned_ns = assigned_ns
        if state == FREE:
            pool_open(&self.pool, number)
        return 0

    def _check(self):
        """Prove every invariant from scratch; `AssertionError` names what does not hold."""
        self.wait()
        for rank in range(self.pool.n_enis):
            number = self.pool.order[rank]
            if self._numbers[<str> self.pool.enis[number].eni_id] != number:
                raise AssertionError("an ENI is found by its id")
        if len(self._numbers) != self.pool.n_enis:
            raise AssertionError("every id is of an ENI")
        prove(&self.pool)
