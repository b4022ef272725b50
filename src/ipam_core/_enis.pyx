"""ENIs and what is attached to them: the part of the DataStore that EC2 decides.

A method parses its arguments, waits for its turn, and then runs C code to the end.
From the moment it reads the pool until it is done with what it read, it makes nothing
that could start a garbage collection or run a caller's code: lists are made before,
and the values are outside the collector. So a method under the GIL is one step for
other threads; batches, which let the GIL go, hold the store's own lock instead.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
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

from ipam_core._arguments cimport MOST_SECONDS, read_now, within
from ipam_core._bits cimport bit, first_set
from ipam_core._ipv4 cimport c_parse_address
from ipam_core._ledger cimport Record, ledger_close, ledger_init
from ipam_core._pool cimport (
    ARBITRARY,
    FIRST,
    N_ENIS,
    PACK,
    SPREAD,
    Place,
    pool_add,
    pool_address,
    pool_empty_slot,
    pool_expire,
    pool_ranked,
    pool_record_at,
    pool_refresh,
    pool_remove,
    pool_seated,
)
from ipam_core._seats cimport seat_eni, seat_slot, seats_taken
from ipam_core._slots cimport (
    COOLING,
    HELD,
    LONE,
    NONE,
    N_KINDS,
    N_SLOTS,
    PER_CELL,
    PREFIX,
    WIDE,
    EniState,
    eni_free,
    eni_n_slots,
    slot_attach,
    slot_base,
    slot_count,
    slot_extent,
    slot_find,
    slot_reserve,
)
from ipam_core._text cimport address_text, prefix_text, read_prefix
from ipam_core._values cimport Assignment, Eni, sandbox_of
from ipam_core._walk cimport GROUP, random_below, walk_list, walk_reach, walk_seat

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    UnknownAddressError,
    UnknownEniError,
)

_KINDS = {
    "secondary-ip": 1 << LONE,
    "prefix": 1 << PREFIX,
    "mixed": 1 << LONE | 1 << PREFIX,
    "ipv6": 1 << WIDE,
}
_PLACEMENTS = {"pack": PACK, "first": FIRST, "spread": SPREAD, "arbitrary": ARBITRARY}


cdef object one_of(dict names, object name, str what):
    """Return what a name stands for. Raises `ValueError` where it is none of them."""
    if name not in names:
        raise ValueError(f"{what} {name!r}: one of {', '.join(names)}")
    return names[name]


cdef class Enis:
    """The ENIs of a store, and their secondary IPs and prefixes."""

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
        if not 0 <= cooldown_s <= MOST_SECONDS:
            raise ValueError(f"cooldown_s {cooldown_s!r}: from 0 to {MOST_SECONDS}")
        cooldown_ns = round(cooldown_s * 1_000_000_000)
        random = seed & 0xFFFF_FFFF_FFFF_FFFF
        self.wait()
        self.pool.kinds = kinds
        self.pool.placement = chosen
        self.pool.cooldown_ns = cooldown_ns
        self.pool.random = random
        self.pool.reach = max(self.pool.reach, GROUP)

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
        eni.reach = GROUP
        try:
            self._numbers[eni_id] = None
        except MemoryError:
            PyMem_RawFree(eni)
            raise
        Py_INCREF(eni_id)
        Py_INCREF(subnet_id)
        if self.pool.placement == ARBITRARY:
            seat_eni(&self.pool, eni)
        self._numbers[eni_id] = pool_add(&self.pool, eni)

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
                self.list_held(number, kind, first_set(slots), lost)
                slots &= slots - 1
        del self._numbers[eni_id]
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached
            while slots:
                pool_empty_slot(&self.pool, eni, number, kind, first_set(slots))
                slots &= slots - 1
        pool_remove(&self.pool, number)
        random_below(&self.pool.random, 1)  # the next walk of `find_freeable_eni` is another
        Py_DECREF(<object> eni.eni_id)
        Py_DECREF(<object> eni.subnet_id)
        eni_free(eni)
        return lost

    def exclude_eni(self, str eni_id not None):
        """Take an ENI out of assignment and of every address statistic; its pods stay.

        Raises `UnknownEniError`. Cost: constant.
        """
        self.set_excluded(eni_id, True)

    def include_eni(self, str eni_id not None):
        """Take an excluded ENI in again. Raises `UnknownEniError`. Cost: constant."""
        self.set_excluded(eni_id, False)

    cdef set_excluded(self, str eni_id, bint excluded):
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

    def turns(self, *, bint copied=False):
        """Return the ids of all ENIs in the order in which the agent's rules take them.

        Under `arbitrary` that is one walk of a Go map, by the seed; `copied`: of a copy of the
        map. Else lowest device number first. Cost: O(ENIs).
        """
        cdef list found = []
        cdef int seats[N_ENIS]
        cdef int places[N_ENIS]
        cdef int original[N_ENIS]
        cdef int at, n, reach
        cdef uint64_t taken = 0
        self.wait()
        if self.pool.placement != ARBITRARY:
            return [eni.eni_id for eni in self.enis()]
        n = walk_list(seats_taken(&self.pool), self.pool.reach, &self.pool.random, seats)
        if copied:    # its entries came in the order of a first walk
            reach = walk_reach(GROUP, n)
            for at in range(n):
                places[at] = walk_seat(taken, reach, &self.pool.random)
                taken |= bit(places[at])
                original[places[at]] = seats[at]
            walk_list(taken, reach, &self.pool.random, places)
            for at in range(n):
                seats[at] = original[places[at]]
        for at in range(n):
            found.append(<str> pool_seated(&self.pool, seats[at]).eni_id)
        return found

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
        self.attach(eni_id, LONE, 0, <uint64_t> c_parse_address(address), address, -1)

    def add_prefix(self, str eni_id not None, str prefix not None):
        """Attach an IPv4 /28 or an IPv6 /80 to an ENI. Raises and costs as `add_address`."""
        cdef int kind
        cdef uint64_t high, low
        read_prefix(prefix, &kind, &high, &low)
        self.attach(eni_id, kind, high, low, prefix, -1)

    cdef int attach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
                    int slot) except -1:
        """Put an address or prefix into a slot, -1 for the lowest that is empty."""
        cdef EniState *eni
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        if self.is_taken(kind, high, low):
            raise DuplicateError("address" if kind == LONE else "prefix", text)
        if eni_n_slots(eni) >= N_SLOTS:
            raise CapacityError(f"slots of ENI {eni_id!r}", N_SLOTS)
        if slot < 0:
            slot = seat_slot(&self.pool, eni, kind)
            if slot < 0:
                raise MemoryError
        elif eni.groups[kind].attached & bit(slot):
            raise DuplicateError("slot", str(slot))
        if slot_reserve(eni, kind, slot) < 0:
            raise MemoryError
        slot_attach(eni, kind, slot, high, low)
        pool_refresh(&self.pool, eni, kind)
        return 0

    cdef bint is_taken(self, int kind, uint64_t high, uint64_t low) noexcept:
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
        return self.detach(eni_id, LONE, 0, <uint64_t> c_parse_address(address), address, force)

    def remove_prefix(self, str eni_id not None, str prefix not None, *, bint force=False):
        """Detach a prefix; return the assignments that went with it. As `remove_address`."""
        cdef int kind
        cdef uint64_t high, low
        read_prefix(prefix, &kind, &high, &low)
        return self.detach(eni_id, kind, high, low, prefix, force)

    cdef list detach(self, str eni_id, int kind, uint64_t high, uint64_t low, str text,
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
        self.list_held(number, kind, slot, lost)
        pool_empty_slot(&self.pool, eni, number, kind, slot)
        return lost

    cdef int list_held(self, int number, int kind, int slot, list held) except -1:
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
        return self.texts(eni_id, 1 << LONE, False, True, None)

    def prefixes(self, str eni_id not None):
        """Return an ENI's prefixes, by slot. Raises `UnknownEniError`."""
        return self.texts(eni_id, 1 << PREFIX | 1 << WIDE, False, True, None)

    def freeable_addresses(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs without a pod; without `cooling` none that cools."""
        return self.texts(eni_id, 1 << LONE, True, cooling, now_ns)

    def freeable_prefixes(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's prefixes without a pod; without `cooling` none in which one cools."""
        return self.texts(eni_id, 1 << PREFIX | 1 << WIDE, True, cooling, now_ns)

    def freeable_cidrs(self, str eni_id not None, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs and /28s without a pod; without `cooling`, none that cools.

        In the order in which the agent takes them: as `turns`; without a map /28s first.
        """
        cdef list found = []
        cdef int64_t now = read_now(now_ns)
        cdef uint64_t low[N_SLOTS]
        cdef uint64_t high
        cdef int kind_of[N_SLOTS]
        cdef int seats[64]
        cdef EniState *eni
        cdef int at, kind, n_seats, n = 0
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        if not cooling:
            pool_expire(&self.pool, now)
        if self.pool.placement != ARBITRARY:
            return (self.texts(eni_id, 1 << PREFIX, True, cooling, now_ns)
                    + self.texts(eni_id, 1 << LONE, True, cooling, now_ns))
        n_seats = walk_list(eni.groups[PREFIX].idle | eni.groups[LONE].idle, eni.reach,
                            &self.pool.random, seats)
        for at in range(n_seats):
            for kind in range(WIDE):
                if eni.groups[kind].idle & bit(seats[at]) and (
                        cooling or slot_count(eni, kind, seats[at], COOLING) == 0):
                    kind_of[n] = kind
                    slot_base(eni, kind, seats[at], &high, &low[n])
                    n += 1
        for at in range(n):
            found.append(address_text(LONE, 0, low[at]) if kind_of[at] == LONE
                         else prefix_text(PREFIX, 0, low[at]))
        return found

    cdef list texts(self, str eni_id, int kinds, bint only_idle, bint cooling, object now_ns):
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

    # --- assignments as values ----------------------------------------------------------

    cdef inline void describe(self, uint32_t number, Assignment value) noexcept:
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
        self.describe(number, value)
        return value
