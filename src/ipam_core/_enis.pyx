"""ENIs and what is attached to them: the part of the DataStore that EC2 decides."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport checked_ns, within
from ipam_core._bits cimport bit, first_set
from ipam_core._ipv4 cimport c_parse_address
from ipam_core._ledger cimport Record
from ipam_core._pool cimport (
    ARBITRARY,
    N_ENIS,
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
from ipam_core._text cimport address_text, given_text, plain_text, prefix_text, read_prefix
from ipam_core._values cimport Assignment, Eni, sandbox_of
from ipam_core._walk cimport GROUP, random_below, walk_list, walk_reach, walk_seat

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    UnknownAddressError,
    UnknownEniError,
)


cdef class Enis(Shared):
    """The ENIs of a store, and their secondary IPs and prefixes."""

    # --- ENIs ---------------------------------------------------------------------------

    def add_eni(self, eni_id, *, device_number, network_card=0,
                bint primary=False, bint trunk=False, bint efa=False, bint excluded=False,
                created_ns=None, subnet_id="", route_table=0):
        """Add an ENI without addresses.

        `created_ns` is when it came, on the monotonic clock; `find_freeable_eni` goes by
        it. An `excluded` ENI gives no address and counts in no address statistic.

        Raises `DuplicateError`; beyond 64 ENIs `CapacityError`. Cost: O(ENIs).
        """
        cdef int device = within(device_number, 0, 0x7FFF_FFFF, "device_number")
        cdef int card = within(network_card, 0, 0x7FFF_FFFF, "network_card")
        cdef int route = within(route_table, 0, 0x7FFF_FFFF, "route_table")
        cdef int64_t created = checked_ns(created_ns, &self.latest_ns, "created_ns")
        cdef str name = plain_text(eni_id, "eni_id"), subnet = plain_text(subnet_id, "subnet_id")
        cdef EniState *eni
        self.wait()
        if name in self._numbers:
            raise DuplicateError("ENI", name)
        if self.pool.n_enis == N_ENIS:
            raise CapacityError("ENIs of a store", N_ENIS)
        eni = <EniState*> PyMem_RawCalloc(1, sizeof(EniState))
        if eni == NULL:
            raise MemoryError
        eni.eni_id, eni.subnet_id = <PyObject*> name, <PyObject*> subnet
        eni.device_number, eni.network_card, eni.route_table = device, card, route
        eni.created_ns = created
        eni.primary, eni.trunk, eni.efa, eni.excluded = primary, trunk, efa, excluded
        eni.reach = GROUP
        try:
            self._numbers[name] = None
        except MemoryError:
            PyMem_RawFree(eni)
            raise
        Py_INCREF(name)
        Py_INCREF(subnet)
        if self.pool.placement == ARBITRARY:
            seat_eni(&self.pool, eni)
        self._numbers[name] = pool_add(&self.pool, eni)

    def remove_eni(self, eni_id, *, bint force=False):
        """Remove an ENI and all its addresses; return the assignments that went with it.

        Raises `UnknownEniError`; without `force` `AddressInUseError` where sandboxes hold
        addresses of it. Cost: O(its slots and records).
        """
        cdef str name = plain_text(eni_id, "eni_id")
        cdef list lost = []
        cdef int number, kind, n_held = 0
        cdef uint64_t slots
        cdef EniState *eni
        self.wait()
        number = self.number_of(name)
        eni = self.pool.enis[number]
        for kind in range(N_KINDS):
            n_held += eni.groups[kind].n_held
        if n_held and not force:
            raise AddressInUseError(f"ENI {name!r}", n_held)
        for kind in range(N_KINDS):
            slots = eni.groups[kind].attached & ~eni.groups[kind].idle
            while slots:
                self.list_held(number, kind, first_set(slots), lost)
                slots &= slots - 1
        del self._numbers[name]
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

    def exclude_eni(self, eni_id):
        """Take an ENI out of assignment and of every address statistic; its pods stay.

        Raises `UnknownEniError`. Cost: constant.
        """
        self.set_excluded(plain_text(eni_id, "eni_id"), True)

    def include_eni(self, eni_id):
        """Take an excluded ENI in again. Raises `UnknownEniError`. Cost: constant."""
        self.set_excluded(plain_text(eni_id, "eni_id"), False)

    cdef set_excluded(self, str eni_id, bint excluded):
        cdef int kind
        cdef EniState *eni
        self.wait()
        eni = self.pool.enis[self.number_of(eni_id)]
        eni.excluded = excluded
        for kind in range(N_KINDS):
            pool_refresh(&self.pool, eni, kind)

    def eni(self, eni_id):
        """Return what is known of an ENI. Raises `UnknownEniError`. Cost: constant."""
        cdef str name = plain_text(eni_id, "eni_id")
        self.wait()
        return self.eni_of(self.number_of(name))

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

    def add_address(self, eni_id, address):
        """Attach a secondary IPv4 address to an ENI.

        Addresses and prefixes are texts or objects of the `ipaddress` module, here and
        in every other call.

        Raises `UnknownEniError`; `DuplicateError` where it is attached already or inside
        an attached prefix; beyond 63 slots `CapacityError`; `ValueError` where it is not
        an IPv4 address. Cost: one pass over the store's slots.
        """
        cdef str text = given_text(address)
        self.attach(plain_text(eni_id, "eni_id"), LONE, 0, <uint64_t> c_parse_address(text),
                    text, -1)

    def add_prefix(self, eni_id, prefix):
        """Attach an IPv4 /28 or an IPv6 /80 to an ENI. Raises and costs as `add_address`."""
        cdef str text = given_text(prefix)
        cdef int kind
        cdef uint64_t high, low
        read_prefix(text, &kind, &high, &low)
        self.attach(plain_text(eni_id, "eni_id"), kind, high, low, text, -1)

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

    def remove_address(self, eni_id, address, *, bint force=False):
        """Detach a secondary IP; return the assignment that went with it, in a list.

        Raises `UnknownEniError`, `UnknownAddressError`; without `force`
        `AddressInUseError` where a sandbox holds it. Cost: one pass over the ENI's slots.
        """
        cdef str text = given_text(address)
        return self.detach(plain_text(eni_id, "eni_id"), LONE, 0,
                           <uint64_t> c_parse_address(text), text, force)

    def remove_prefix(self, eni_id, prefix, *, bint force=False):
        """Detach a prefix; return the assignments that went with it. As `remove_address`."""
        cdef str text = given_text(prefix)
        cdef int kind
        cdef uint64_t high, low
        read_prefix(text, &kind, &high, &low)
        return self.detach(plain_text(eni_id, "eni_id"), kind, high, low, text, force)

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

    def addresses(self, eni_id):
        """Return an ENI's secondary IPs, by slot. Raises `UnknownEniError`."""
        return self.texts(eni_id, 1 << LONE, False, True, None)

    def prefixes(self, eni_id):
        """Return an ENI's prefixes, by slot. Raises `UnknownEniError`."""
        return self.texts(eni_id, 1 << PREFIX | 1 << WIDE, False, True, None)

    def freeable_addresses(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs without a pod; without `cooling` none that cools."""
        return self.texts(eni_id, 1 << LONE, True, cooling, now_ns)

    def freeable_prefixes(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's prefixes without a pod; without `cooling` none in which one cools."""
        return self.texts(eni_id, 1 << PREFIX | 1 << WIDE, True, cooling, now_ns)

    def freeable_cidrs(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs and /28s without a pod; without `cooling`, none that cools.

        In the order in which the agent takes them: as `turns`; without a map /28s first.
        """
        cdef list found = []
        cdef str name = plain_text(eni_id, "eni_id")
        cdef int64_t now = checked_ns(now_ns, &self.latest_ns, "now_ns")
        cdef uint64_t low[N_SLOTS]
        cdef uint64_t high
        cdef int kind_of[N_SLOTS]
        cdef int seats[64]
        cdef EniState *eni
        cdef int at, kind, n_seats, n = 0
        self.wait()
        eni = self.pool.enis[self.number_of(name)]
        if not cooling:
            pool_expire(&self.pool, now)
        if self.pool.placement != ARBITRARY:
            return (self.texts(name, 1 << PREFIX, True, cooling, now_ns)
                    + self.texts(name, 1 << LONE, True, cooling, now_ns))
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

    cdef list texts(self, object eni_id, int kinds, bint only_idle, bint cooling, object now_ns):
        cdef list found = []
        cdef str name = plain_text(eni_id, "eni_id")
        cdef int64_t now = checked_ns(now_ns, &self.latest_ns, "now_ns")
        cdef uint64_t base[N_SLOTS][2]
        cdef int kind_of[N_SLOTS]
        cdef EniState *eni
        cdef uint64_t slots
        cdef int kind, slot, n = 0
        self.wait()
        eni = self.pool.enis[self.number_of(name)]
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
