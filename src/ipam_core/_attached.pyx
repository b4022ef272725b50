"""Secondary IPs and prefixes: the part of the DataStore for the content of ENIs' slots."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from ipam_core._arguments cimport time_ns
from ipam_core._bits cimport bit, first_set
from ipam_core._ipv4 cimport c_parse_address
from ipam_core._pool cimport ARBITRARY, pool_empty_slot, pool_expire, pool_ranked, pool_refresh
from ipam_core._seats cimport seat_slot
from ipam_core._slots cimport (
    COOLING,
    HELD,
    IPV6_PREFIX,
    N_KINDS,
    N_SLOTS,
    PER_CELL,
    PREFIX,
    SECONDARY_IP,
    EniState,
    eni_n_slots,
    slot_attach,
    slot_base,
    slot_count,
    slot_find,
    slot_reserve,
)
from ipam_core._text cimport address_text, given_text, plain_text, prefix_text, read_prefix
from ipam_core._walk cimport walk_list

from ipam_core.errors import (
    AddressInUseError,
    CapacityError,
    DuplicateError,
    UnknownAddressError,
)


cdef class Attached(Enis):
    """The secondary IPs and prefixes of a store's ENIs."""

    def add_address(self, eni_id, address):
        """Attach a secondary IPv4 address to an ENI.

        Addresses and prefixes are texts or objects of the `ipaddress` module, here and
        in every other call.

        Raises `UnknownEniError`; `DuplicateError` if it is already attached or inside an
        attached prefix; beyond 63 slots `CapacityError`; `ValueError` if it is not an IPv4
        address. Cost: one pass over the store's slots.
        """
        cdef str text = given_text(address)
        self.attach(plain_text(eni_id, "eni_id"), SECONDARY_IP, 0, <uint64_t> c_parse_address(text),
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
            raise DuplicateError("address" if kind == SECONDARY_IP else "prefix", text)
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
            if kind == IPV6_PREFIX:
                if slot_find(eni, IPV6_PREFIX, high, low) >= 0:
                    return True
                continue
            if slot_find(eni, PREFIX, 0, low & ~<uint64_t> 15) >= 0:
                return True
            slots = eni.groups[SECONDARY_IP].attached
            while slots:
                if eni.secondary_ips[first_set(slots)].address - <uint32_t> low < size:
                    return True
                slots &= slots - 1
        return False

    def remove_address(self, eni_id, address, *, bint force=False):
        """Detach a secondary IP; return the assignment that was lost with it, in a list.

        Raises `UnknownEniError`, `UnknownAddressError`; without `force` `AddressInUseError` if
        a sandbox holds it. Cost: one pass over the ENI's slots.
        """
        cdef str text = given_text(address)
        return self.detach(plain_text(eni_id, "eni_id"), SECONDARY_IP, 0,
                           <uint64_t> c_parse_address(text), text, force)

    def remove_prefix(self, eni_id, prefix, *, bint force=False):
        """Detach a prefix; return the assignments that were lost with it. As `remove_address`."""
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

    def addresses(self, eni_id):
        """Return an ENI's secondary IPs, by slot. Raises `UnknownEniError`."""
        return self.texts(eni_id, 1 << SECONDARY_IP, False, True, None)

    def prefixes(self, eni_id):
        """Return an ENI's prefixes, by slot. Raises `UnknownEniError`."""
        return self.texts(eni_id, 1 << PREFIX | 1 << IPV6_PREFIX, False, True, None)

    def freeable_addresses(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs without a pod; without `cooling`, none that is cooling."""
        return self.texts(eni_id, 1 << SECONDARY_IP, True, cooling, now_ns)

    def freeable_prefixes(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's prefixes without a pod; without `cooling`, none partly cooling."""
        return self.texts(eni_id, 1 << PREFIX | 1 << IPV6_PREFIX, True, cooling, now_ns)

    def freeable_cidrs(self, eni_id, *, bint cooling=True, now_ns=None):
        """Return an ENI's secondary IPs and /28s without a pod; `cooling` as above.

        In the order in which the agent takes them: as `turns`; without a map /28s first.
        """
        cdef list found = []
        cdef str name = plain_text(eni_id, "eni_id")
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
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
                    + self.texts(name, 1 << SECONDARY_IP, True, cooling, now_ns))
        n_seats = walk_list(eni.groups[PREFIX].idle | eni.groups[SECONDARY_IP].idle, eni.reach,
                            &self.pool.random, seats)
        for at in range(n_seats):
            for kind in range(IPV6_PREFIX):
                if eni.groups[kind].idle & bit(seats[at]) and (
                        cooling or slot_count(eni, kind, seats[at], COOLING) == 0):
                    kind_of[n] = kind
                    slot_base(eni, kind, seats[at], &high, &low[n])
                    n += 1
        for at in range(n):
            found.append(address_text(SECONDARY_IP, 0, low[at]) if kind_of[at] == SECONDARY_IP
                         else prefix_text(PREFIX, 0, low[at]))
        return found

    cdef list texts(self, object eni_id, int kinds, bint only_idle, bint cooling, object now_ns):
        cdef list found = []
        cdef str name = plain_text(eni_id, "eni_id")
        cdef int64_t now = time_ns(now_ns, &self.latest_ns, "now_ns")
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
            found.append(address_text(SECONDARY_IP, 0, base[slot][1]) if kind == SECONDARY_IP
                         else prefix_text(kind, base[slot][0], base[slot][1]))
        return found
